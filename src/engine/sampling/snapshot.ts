import type { CounterLayout } from '../../vmm/counters/counters.ts';
import type { CounterSource, ThreadTimes } from './counter-source.ts';

/** The counters of one VM at one moment. */
export type Snapshot = {
  /** Milliseconds on a clock that never goes back. */
  readonly at: number;
  /** Also stands for the run of the VM: one that was started again has another one. */
  readonly layout: CounterLayout;
  /** A copy of the counters: offsets as in vmm/counters.ts. */
  readonly words: BigUint64Array;
  /** CPU time by vCPU. */
  readonly threads: readonly ThreadTimes[];
};

/** Copies what the counters say now; null before the machine has been built. */
export function takeSnapshot(source: CounterSource, id: string, at: number): Snapshot | null {
  const counters = source.counters(id);
  if (counters === null) return null;
  const { words, layout } = counters;
  return { at, layout, words: words.slice(), threads: source.threadTimes(id) };
}

/** Are these two of the same run of the VM, in this order? If not, there is no rate between them. */
export function comparable(before: Snapshot, after: Snapshot): boolean {
  return before.layout === after.layout && after.at > before.at;
}
