import type { RegionCounters } from '../../devices/bus.ts';
import type { AccessTimes } from './access-times.ts';
import type { AddressCounters } from './address-counters.ts';
import { ADDRESS, type CounterLayout, REGION } from './counters.ts';

/** Counts one range of ports or memory in the VM's shared block, as a whole and by address. */
export class SharedRegionCounters implements RegionCounters {
  readonly #words: BigUint64Array;
  readonly #base: number;
  readonly #region: number;
  readonly #addresses: AddressCounters;
  readonly #times: AccessTimes;
  /** The address accessed last, whose entry in the table is known; -1 for none. */
  #address = -1;
  #entry = 0;

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
    if (address !== this.#address) this.#find(address);
    this.#words[this.#entry + ADDRESS.reads]! += 1n;
    this.#times.accessed(this.#base + REGION.ns, this.#entry + ADDRESS.ns);
  }

  written(address: number): void {
    this.#words[this.#base + REGION.writes]! += 1n;
    if (address !== this.#address) this.#find(address);
    this.#words[this.#entry + ADDRESS.writes]! += 1n;
    this.#times.accessed(this.#base + REGION.ns, this.#entry + ADDRESS.ns);
  }

  #find(address: number): void {
    this.#entry = this.#addresses.entry(this.#region, address);
    // One that did not fit may fit later.
    this.#address = this.#addresses.fits(this.#entry) ? address : -1;
  }
}
