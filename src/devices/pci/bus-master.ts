import type { GuestMemory } from '../guest-memory.ts';
import type { PciFunction } from './pci-function.ts';
import { REG } from './registers.ts';

/** Status bit: a request of the function had no target (PCI Local Bus 3.0 §6.2.3). */
const RECEIVED_MASTER_ABORT = 0x2000;

/**
 * A conventional function's own accesses to guest memory. An access fails with null or false if the guest has not
 * enabled bus mastering, or if it is not all memory; the latter is reported in the status register.
 */
export class BusMaster {
  readonly #fn: PciFunction;
  readonly #memory: GuestMemory;

  constructor(fn: PciFunction, memory: GuestMemory) {
    this.#fn = fn;
    this.#memory = memory;
  }

  /** Whether the function may access memory at all. */
  get allowed(): boolean {
    return this.#fn.busMaster;
  }

  /** A live view of [address, address + length), to read from. */
  readable(address: number, length: number): Uint8Array | null {
    return this.#check(address, length, 'read') ? this.#memory.readable(address, length) : null;
  }

  /** A live view of [address, address + length), to write to until the machine thread's next event. */
  writable(address: number, length: number): Uint8Array | null {
    return this.#check(address, length, 'write') ? this.#memory.writable(address, length) : null;
  }

  readU32(address: number): number | null {
    return this.#check(address, 4, 'read') ? this.#memory.readU32(address) : null;
  }

  /** Reads 32-bit words into `words`. @returns false, and leaves them as they are, if not all can be read */
  readWords(address: number, words: Uint32Array): boolean {
    if (!this.#check(address, 4 * words.length, 'read')) return false;
    for (let i = 0; i < words.length; i++) words[i] = this.#memory.readU32(address + 4 * i);
    return true;
  }

  writeU32(address: number, value: number): boolean {
    if (!this.#check(address, 4, 'write')) return false;
    this.#memory.writeU32(address, value);
    return true;
  }

  #check(address: number, length: number, access: 'read' | 'write'): boolean {
    if (!this.#fn.busMaster) return false;
    if (this.#memory.contains(address, length, access)) return true;
    const { config } = this.#fn;
    config.setU8(REG.status + 1, config.u8(REG.status + 1) | (RECEIVED_MASTER_ABORT >> 8));
    return false;
  }
}
