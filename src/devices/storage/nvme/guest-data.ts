import type { Segment } from '../../backends/disk-port.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { segmentsOf } from './prp.ts';
import { STATUS } from './status.ts';
import type { SubmittedCommand } from './submitted-command.ts';

/** The data of commands in guest memory, with pages of the size that the driver has chosen. */
export class GuestData {
  readonly #memory: GuestMemory;
  readonly #page: () => number;

  /** @param page bytes of a page */
  constructor(memory: GuestMemory, page: () => number) {
    this.#memory = memory;
    this.#page = page;
  }

  /** The memory of a command's data, at least one byte; or a status if its PRP entries are invalid. */
  segments(command: SubmittedCommand, length: number): readonly Segment[] | number {
    return segmentsOf(this.#memory, command, length, this.#page());
  }

  /** Gives `bytes` to the driver. @returns a status */
  give(command: SubmittedCommand, bytes: Uint8Array): number {
    const segments = this.#checked(command, bytes.length, 'write');
    if (typeof segments === 'number') return segments;
    let at = 0;
    for (const { address, length } of segments) {
      this.#memory.writable(address, length).set(bytes.subarray(at, at + length));
      at += length;
    }
    return STATUS.success;
  }

  /** Takes `length` bytes from the driver; or a status. */
  take(command: SubmittedCommand, length: number): Uint8Array | number {
    const segments = this.#checked(command, length, 'read');
    if (typeof segments === 'number') return segments;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const { address, length } of segments) {
      bytes.set(this.#memory.readable(address, length), at);
      at += length;
    }
    return bytes;
  }

  #checked(command: SubmittedCommand, length: number, access: 'read' | 'write'): readonly Segment[] | number {
    const segments = this.segments(command, length);
    if (typeof segments === 'number') return segments;
    const isMemory = segments.every(({ address, length }) => this.#memory.contains(address, length, access));
    return isMemory ? segments : STATUS.dataTransferError;
  }
}
