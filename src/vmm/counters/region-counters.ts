import type { RegionCounters } from '../../devices/bus.ts';
import type { AddressCounters } from './address-counters.ts';
import { addCount, type CounterLayout, REGION } from './counters.ts';

/** Counts one range of ports or memory in the VM's shared block, as a whole and by address. */
export class SharedRegionCounters implements RegionCounters {
  readonly #words: BigUint64Array;
  readonly #base: number;
  readonly #region: number;
  readonly #addresses: AddressCounters;

  readonly release: () => void;

  constructor(
    words: BigUint64Array,
    layout: CounterLayout,
    region: number,
    addresses: AddressCounters,
    release: () => void,
  ) {
    this.release = release;
    this.#words = words;
    this.#base = layout.region(region);
    this.#region = region;
    this.#addresses = addresses;
  }

  read(address: number, ns: number): void {
    this.#count(REGION.reads, ns);
    this.#addresses.read(this.#region, address, ns);
  }

  written(address: number, ns: number): void {
    this.#count(REGION.writes, ns);
    this.#addresses.written(this.#region, address, ns);
  }

  #count(word: number, ns: number): void {
    this.#words[this.#base + word]! += 1n;
    addCount(this.#words, this.#base + REGION.ns, ns);
  }
}
