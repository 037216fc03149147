import type { RegionCounters, RegionLabel } from '../../src/devices/bus.ts';
import type { CounterBlocks } from '../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout, type CounterShape, writeHeader } from '../../src/vmm/counters/counters.ts';

/** A new, zeroed block of counters with its header, in memory of this process. */
export function allocateCounters(shape: CounterShape): BigUint64Array<SharedArrayBuffer> {
  const words = new BigUint64Array(new SharedArrayBuffer(new CounterLayout(shape).bytes));
  writeHeader(words, shape);
  return words;
}

/** Counters of a region that count nothing. */
export const UNCOUNTED: RegionCounters = { read: () => {}, written: () => {}, release: () => {} };

/** A region of `blocks` in which each access is a separate exit of the given duration. */
export function timedRegion(blocks: CounterBlocks, label: RegionLabel) {
  const counters = blocks.region(label);
  return {
    read: (address: number, ns: number) => {
      counters.read(address);
      blocks.times.took(ns);
    },
    written: (address: number, ns: number) => {
      counters.written(address);
      blocks.times.took(ns);
    },
    release: counters.release,
  };
}
