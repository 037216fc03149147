import type { RegionCounters } from '../../devices/bus.ts';
import type { AccessTimes } from './access-times.ts';
import type { AddressCounters } from './address-counters.ts';
import { type CounterLayout, REGION } from './counters.ts';

/** Counts one range of ports or memory in the VM's shared block, as a whole and by address. */
export class SharedRegionCounters implements RegionCounters {
  readonly #words: BigUint64Array;
  readonly #base: number;
  readonly #region: number;
  readonly #addresses: AddressCounters;
  readonly #times: AccessTimes;

  readonly release: () => void;

  constructor(
    words: BigUint64Array,
    layout: CounterLayout,
    region: number,
    addresses: AddressCounters,
    times: AccessTimes,
    release: () => void,
  ) {
    this.release = release;
    this.#words = words;
    this.#base = layout.region(region);
    this.#region = region;
    this.#addresses = addresses;
    this.#times = times;
  }

  read(address: number): void {
    this.#words[this.#base + REGION.reads]! += 1n;
    this.#times.accessed(this.#base + REGION.ns, this.#addresses.read(this.#region, address));
  }

  written(address: number): void {
    this.#words[this.#base + REGION.writes]! += 1n;
    this.#times.accessed(this.#base + REGION.ns, this.#addresses.written(this.#region, address));
  }
}
