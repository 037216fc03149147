import type { RegionCounters } from '../../src/devices/bus.ts';
import { CounterLayout, type CounterShape, writeHeader } from '../../src/vmm/counters/counters.ts';

/** A new, zeroed block of counters with its header, in memory of this process. */
export function allocateCounters(shape: CounterShape): BigUint64Array<SharedArrayBuffer> {
  const words = new BigUint64Array(new SharedArrayBuffer(new CounterLayout(shape).bytes));
  writeHeader(words, shape);
  return words;
}

/** Counters of a region that count nothing. */
export const UNCOUNTED: RegionCounters = { read: () => {}, written: () => {}, release: () => {} };
