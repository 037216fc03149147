import { addCount } from './counters.ts';

const NOTHING = -1;

/**
 * Counts how long accesses take, in the words of the last one's range and address. An exit has one access, or several that
 * belong together, and its time is known when its vCPU goes on.
 */
export class AccessTimes {
  readonly #words: BigUint64Array;
  #range = NOTHING;
  #address = NOTHING;

  constructor(words: BigUint64Array) {
    this.#words = words;
  }

  /** An access is being answered. @param range @param address the words that count the nanoseconds of its range, and of its address */
  accessed(range: number, address: number): void {
    this.#range = range;
    this.#address = address;
  }

  /** What has been accessed since the last call took this long. */
  took(ns: number): void {
    if (this.#range === NOTHING) return;
    addCount(this.#words, this.#range, ns);
    addCount(this.#words, this.#address, ns);
    this.#range = NOTHING;
  }

  /** The words may count something else from now on. */
  forget(): void {
    this.#range = NOTHING;
  }
}
