import { COUNTERS_MAGIC, CounterLayout, shapeOf } from '../../vmm/counters/counters.ts';
import type { CounterSource, ThreadTimes } from './counter-source.ts';

/** The counters of one VM at one moment. */
export type Snapshot = {
  /** Milliseconds on a clock that never goes back. */
  readonly at: number;
  readonly layout: CounterLayout;
  /** A copy of the counters: offsets as in vmm/counters.ts. */
  readonly words: BigUint64Array;
  /** CPU time by vCPU. */
  readonly threads: readonly ThreadTimes[];
  /** The block that was copied. A VM that was started again has another one. */
  readonly source: BigUint64Array;
};

/** Copies what the counters say now; null before the machine has been built. */
export function takeSnapshot(source: CounterSource, id: string, at: number): Snapshot | null {
  const counters = source.counters(id);
  if (counters === null || counters[0] !== COUNTERS_MAGIC) return null;
  return {
    at,
    layout: new CounterLayout(shapeOf(counters)),
    words: counters.slice(),
    threads: source.threadTimes(id),
    source: counters,
  };
}

/** Are these two of the same run of the VM, in this order? If not, there is no rate between them. */
export function comparable(before: Snapshot, after: Snapshot): boolean {
  return before.source === after.source && after.at > before.at;
}
