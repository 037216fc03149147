import type { DeviceState } from '../../device.ts';
import type { BusMaster } from '../../pci/bus-master.ts';
import { booleanOf, numberOf } from '../../state.ts';

/**
 * Descriptors of ADMA2 (SD Host Controller Simplified Specification 3.00 §1.13.3): attributes, 16 bits of length, an
 * address of 32 or 64 bits.
 */
const ATTRIBUTE = {
  valid: 0x01,
  end: 0x02,
  interrupt: 0x04,
  actMask: 0x30,
  transfer: 0x20,
  link: 0x30,
} as const;
const MAX_LENGTH = 2 ** 16;
const MAX_ADDRESS = 2 ** 52;
/** A table with this many consecutive descriptors that move nothing is a loop. */
const MAX_IDLE = 1024;

/** ADMA Error Status (§2.2.26): the state in which it stopped, and a length mismatch. */
export const ADMA_ERROR = { fetch: 0x01, transfer: 0x03, lengthMismatch: 0x04 } as const;

export type AdmaStep =
  /** The memory of the next bytes, and their maximum number. */
  | { readonly kind: 'segment'; readonly address: number; readonly length: number }
  /** The end of the table. */
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: number };

/** A walk through a table of descriptors. */
export class Adma {
  readonly #memory: BusMaster;
  readonly #onInterrupt: () => void;
  #address = 0n;
  #segment = 0;
  #left = 0;
  #isLast = false;
  #interrupts = false;

  /** @param onInterrupt called when a descriptor that asks for an interrupt has been carried out */
  constructor(memory: BusMaster, onInterrupt: () => void) {
    this.#memory = memory;
    this.#onInterrupt = onInterrupt;
  }

  /** ADMA System Address: the address of the next descriptor. */
  get address(): bigint {
    return this.#address;
  }

  /** Begins a transfer with the descriptor at `address`. */
  start(address: bigint): void {
    this.#address = address;
    this.#segment = 0;
    this.#left = 0;
    this.#isLast = false;
    this.#interrupts = false;
  }

  /** The memory of the next bytes. @param isWide addresses have 64 bits */
  next(isWide: boolean): AdmaStep {
    for (let idle = 0; this.#left === 0; idle++) {
      if (this.#isLast) return { kind: 'end' };
      if (idle > MAX_IDLE || !this.#fetch(isWide)) return { kind: 'error', error: ADMA_ERROR.fetch };
    }
    return { kind: 'segment', address: this.#segment, length: this.#left };
  }

  /** Whether all data of the table has been moved. */
  get isDone(): boolean {
    return this.#isLast && this.#left === 0;
  }

  /** `length` bytes of the segment have been moved. */
  moved(length: number): void {
    this.#segment += length;
    this.#left -= length;
    if (this.#left === 0 && this.#interrupts) this.#onInterrupt();
  }

  save(): DeviceState {
    return {
      address: this.#address,
      segment: this.#segment,
      left: this.#left,
      isLast: this.#isLast,
      interrupts: this.#interrupts,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const segment = numberOf(state, 'segment');
    const left = numberOf(state, 'left', MAX_LENGTH);
    const [isLast, interrupts] = [booleanOf(state, 'isLast'), booleanOf(state, 'interrupts')];
    this.#address = typeof state.address === 'bigint' ? BigInt.asUintN(64, state.address) : 0n;
    this.#segment = segment;
    this.#left = left;
    this.#isLast = isLast;
    this.#interrupts = interrupts;
  }

  /** Fetches the next descriptor. @returns whether it is valid */
  #fetch(isWide: boolean): boolean {
    const at = Number(this.#address);
    if (at > MAX_ADDRESS) return false;
    const first = this.#memory.readU32(at);
    const low = this.#memory.readU32(at + 4);
    const high = isWide ? this.#memory.readU32(at + 8) : 0;
    if (first === null || low === null || high === null || !(first & ATTRIBUTE.valid)) return false;
    const address = high * 2 ** 32 + low;
    if (address > MAX_ADDRESS) return false;
    const act = first & ATTRIBUTE.actMask;
    this.#isLast = (first & ATTRIBUTE.end) !== 0;
    this.#interrupts = (first & ATTRIBUTE.interrupt) !== 0;
    if (act === ATTRIBUTE.link && !this.#isLast) {
      this.#address = BigInt(address);
      return true;
    }
    this.#address += isWide ? 12n : 8n;
    if (act === ATTRIBUTE.transfer) {
      this.#segment = address;
      this.#left = first >>> 16 || MAX_LENGTH;
    } else if (this.#interrupts) this.#onInterrupt();
    return true;
  }
}
