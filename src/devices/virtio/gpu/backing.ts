import type { GuestMemory } from '../../guest-memory.ts';
import { DeviceStateError } from '../../state.ts';
import { MEMORY_ENTRY } from './protocol.ts';

/** QEMU's limit. */
export const MAX_ENTRIES = 16_384;

/** A part of guest memory. It comes from the guest, so it is checked at every use. */
type Part = { readonly address: number; readonly length: number };

/** The guest memory that backs a resource: its parts in order. */
export class Backing {
  readonly #parts: readonly Part[];

  /** @param entries {le64 address, le32 length, le32 padding}, of `MEMORY_ENTRY` bytes each */
  constructor(entries: Uint8Array) {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
    this.#parts = Array.from({ length: entries.length / MEMORY_ENTRY }, (_, index) => ({
      address: Number(view.getBigUint64(MEMORY_ENTRY * index, true)),
      length: view.getUint32(MEMORY_ENTRY * index + 8, true),
    })).filter(({ length }) => length > 0);
  }

  /** The approximate host memory that it takes, in bytes. */
  get cost(): number {
    return this.#parts.length * MEMORY_ENTRY;
  }

  /** Whether all of it is still guest memory. */
  isMemory(memory: GuestMemory): boolean {
    return this.#parts.every(({ address, length }) => memory.contains(address, length));
  }

  reader(memory: GuestMemory): BackingReader {
    return new BackingReader(this.#parts, memory);
  }

  save(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.#parts.length * MEMORY_ENTRY));
    for (const [index, { address, length }] of this.#parts.entries()) {
      view.setBigUint64(MEMORY_ENTRY * index, BigInt(address), true);
      view.setUint32(MEMORY_ENTRY * index + 8, length, true);
    }
    return new Uint8Array(view.buffer);
  }

  /** @throws DeviceStateError */
  static load(entries: Uint8Array): Backing {
    if (entries.length % MEMORY_ENTRY !== 0 || entries.length > MAX_ENTRIES * MEMORY_ENTRY)
      throw new DeviceStateError('backing', 'list of memory');
    return new Backing(entries);
  }
}

/** Reads a backing from front to back, so that many small reads take no longer than one large read. */
class BackingReader {
  readonly #parts: readonly Part[];
  readonly #memory: GuestMemory;
  #index = 0;
  /** The offset of the part at `#index`. */
  #start = 0;

  constructor(parts: readonly Part[], memory: GuestMemory) {
    this.#parts = parts;
    this.#memory = memory;
  }

  /**
   * Copies from byte `offset` on, as much as there is. Offsets must not decrease between calls.
   * @returns the number of bytes. @throws GuestMemoryError
   */
  copy(offset: number, into: Uint8Array): number {
    let done = 0;
    while (done < into.length && this.#index < this.#parts.length) {
      const { address, length } = this.#parts[this.#index]!;
      const skip = offset + done - this.#start;
      if (skip >= length) {
        this.#index++;
        this.#start += length;
        continue;
      }
      const count = Math.min(length - skip, into.length - done);
      into.set(this.#memory.readable(address + skip, count), done);
      done += count;
    }
    return done;
  }
}
