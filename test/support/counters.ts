import type { RegionCounters, RegionLabel } from '../../src/devices/bus.ts';
import { CounterBlocks } from '../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout, type CounterShape, writeHeader } from '../../src/vmm/counters/counters.ts';

/** A new, zeroed block of counters with its header, in memory of this process. */
export function allocateCounters(shape: CounterShape): BigUint64Array<SharedArrayBuffer> {
  const words = new BigUint64Array(new SharedArrayBuffer(new CounterLayout(shape).bytes));
  writeHeader(words, shape);
  return words;
}

/** Counters of a region that count nothing. */
export const UNCOUNTED: RegionCounters = { read: () => {}, written: () => {}, release: () => {} };

/** A VM's counter blocks, with what the native library does once an exit has been answered. */
export class TimedBlocks extends CounterBlocks {
  readonly #words: BigUint64Array;
  readonly #timed: Uint32Array;

  constructor(words: BigUint64Array, shape: CounterShape) {
    const timed = new Uint32Array(2);
    super(words, shape, () => {}, timed);
    this.#words = words;
    this.#timed = timed;
  }

  /** The answer took this long. */
  answered(ns: number): void {
    for (const word of this.#timed) if (word !== 0) this.#words[word]! += BigInt(ns);
    this.#timed.fill(0);
  }
}

/** A region of `blocks` in which each access is a separate exit of the given duration. */
export function timedRegion(blocks: TimedBlocks, label: RegionLabel) {
  const counters = blocks.region(label);
  return {
    read: (address: number, ns: number) => {
      counters.read(address);
      blocks.answered(ns);
    },
    written: (address: number, ns: number) => {
      counters.written(address);
      blocks.answered(ns);
    },
    release: counters.release,
  };
}
