import type { RegionCounters } from '../devices/bus.ts';
import { REGION } from './counters.ts';

/** Counts one range of ports or memory in the VM's shared block. */
export class SharedRegionCounters implements RegionCounters {
  readonly #words: BigUint64Array;
  readonly #base: number;

  /** @param base word index of the region's block */
  constructor(words: BigUint64Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  read(ns: number): void {
    this.#count(REGION.reads, ns);
  }

  written(ns: number): void {
    this.#count(REGION.writes, ns);
  }

  #count(word: number, ns: number): void {
    this.#words[this.#base + word]! += 1n;
    this.#words[this.#base + REGION.ns]! += BigInt(Math.trunc(ns));
  }
}
