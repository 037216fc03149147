import { addCount } from './counters.ts';

const NOTHING = -1;

/**
 * Counts how long accesses take, in the words of the last one's range and address. An exit has one access, or several
 * related ones, and its time is known once its vCPU continues.
 */
export class AccessTimes {
  readonly #words: BigUint64Array;
  #range = NOTHING;
  #address = NOTHING;

  constructor(words: BigUint64Array) {
    this.#words = words;
  }

  /**
   * An access is being answered.
   * @param range @param address the words that count the nanoseconds of its range, and of its address
   */
  accessed(range: number, address: number): void {
    this.#range = range;
    this.#address = address;
  }

  /** Adds this time to what has been accessed since the last call. */
  took(ns: number): void {
    if (this.#range === NOTHING) return;
    addCount(this.#words, this.#range, ns);
    addCount(this.#words, this.#address, ns);
    this.#range = NOTHING;
  }

  /** Forgets the words: they may be reassigned from now on. */
  forget(): void {
    this.#range = NOTHING;
  }
}
