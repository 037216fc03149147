import type { Segment } from '../../backends/disk-port.ts';
import type { GuestMemory } from '../../guest-memory.ts';

/** Guest memory as a port reaches it. */
export class PortMemory {
  readonly guest: GuestMemory;
  readonly #isBusMaster: () => boolean;

  constructor(guest: GuestMemory, isBusMaster: () => boolean) {
    this.guest = guest;
    this.#isBusMaster = isBusMaster;
  }

  /** Whether the function may reach memory. */
  get isBusMaster(): boolean {
    return this.#isBusMaster();
  }

  contains(address: number, length: number, access: 'read' | 'write'): boolean {
    return this.#isBusMaster() && this.guest.contains(address, length, access);
  }

  containsAll(segments: readonly Segment[], access: 'read' | 'write'): boolean {
    return segments.every(({ address, length }) => this.contains(address, length, access));
  }

  /** Writes `bytes` to checked segments, which are at least as long in total. */
  scatter(segments: readonly Segment[], bytes: Uint8Array): void {
    let at = 0;
    for (const { address, length } of segments) {
      this.guest.writable(address, length).set(bytes.subarray(at, at + length));
      at += length;
    }
  }

  /** @returns the bytes of checked segments */
  gather(segments: readonly Segment[]): Uint8Array {
    const bytes = new Uint8Array(segments.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { address, length } of segments) {
      bytes.set(this.guest.readable(address, length), at);
      at += length;
    }
    return bytes;
  }
}
