import type { Segment } from '../../backends/disk-port.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { COMMAND_TABLE } from './registers.ts';

const BYTES_MASK = 0x3f_ffff;
const INTERRUPT = 0x8000_0000;
/** No guest-physical address beyond this is memory: numbers stay exact. */
const MAX_ADDRESS = 2 ** 52;

/** The data of a command: the physical region descriptors of its table (AHCI 1.3.1 §4.2.3.3). */
export class Descriptors {
  readonly #memory: GuestMemory;
  readonly #table: number;
  readonly #count: number;

  /** @param table guest-physical address of the first descriptor. @param count at most 65,535 */
  constructor(memory: GuestMemory, table: number, count: number) {
    this.#memory = memory;
    this.#table = table;
    this.#count = count;
  }

  /**
   * The memory of `length` bytes, from the first descriptor on. Reads no more descriptors than needed.
   * @returns null if a descriptor, or the address in one, is not in memory
   */
  take(
    length: number,
  ): { readonly segments: Segment[]; readonly bytes: number; readonly interrupts: boolean } | null {
    const segments: Segment[] = [];
    let bytes = 0;
    let interrupts = false;
    for (let index = 0; index < this.#count && bytes < length; index++) {
      const at = this.#table + index * COMMAND_TABLE.descriptor;
      if (!this.#memory.contains(at, COMMAND_TABLE.descriptor, 'read')) return null;
      const low = this.#memory.readU32(at);
      const high = this.#memory.readU32(at + 4);
      const control = this.#memory.readU32(at + 12);
      // Word granularity: bit 0 of the address and of the count minus one is ignored.
      const address = high * 2 ** 32 + low - (low % 2);
      const size = ((control & BYTES_MASK) | 1) + 1;
      if (address + size > MAX_ADDRESS) return null;
      const part = Math.min(size, length - bytes);
      segments.push({ address, length: part });
      bytes += part;
      if (part === size && (control & INTERRUPT) !== 0) interrupts = true;
    }
    return { segments, bytes, interrupts };
  }
}
