import {
  ADDRESS,
  ADDRESS_ENTRIES,
  type CounterLayout,
  HEADER,
  MAX_STATISTICS,
  QUEUE,
  REGION,
  STATISTIC,
} from '../../vmm/counters/counters.ts';
import type { CounterSource, HostInterruptCounts, ThreadTimes } from './counter-source.ts';

/** The counters of one VM at one moment. */
export type Snapshot = {
  /** Milliseconds on a monotonic clock. */
  readonly at: number;
  /** Also identifies the run of the VM: each run has its own object. */
  readonly layout: CounterLayout;
  /** A copy of the counters: offsets as in vmm/counters.ts. */
  readonly words: BigUint64Array;
  /** CPU time by vCPU. */
  readonly threads: readonly ThreadTimes[];
  /** Null if not requested, or for a VM without host devices. */
  readonly interrupts: HostInterruptCounts | null;
};

/** Copies the present counters; null before the machine has been built. @param withInterrupts the host's counts too */
export function takeSnapshot(
  source: CounterSource,
  id: string,
  at: number,
  withInterrupts = false,
): Snapshot | null {
  const counters = source.counters(id);
  if (counters === null) return null;
  const { words, layout } = counters;
  const interrupts = withInterrupts ? (source.hostInterrupts?.(id) ?? null) : null;
  return { at, layout, words: copyOf(words), threads: source.threadTimes(id), interrupts };
}

/** Copies the words between two assignments of blocks, so that no block mixes the counts of two queues. */
function copyOf(words: BigUint64Array): BigUint64Array {
  let copy = words.slice();
  for (let tries = 0; tries < 3 && copy[HEADER.changes] !== words[HEADER.changes]; tries++)
    copy = words.slice();
  return copy;
}

/**
 * The values in `before` for the queues, ranges and addresses in `after`: zero for a block that was reassigned in
 * between.
 */
export function asOf(before: Snapshot, after: Snapshot): Snapshot {
  if (before.words[HEADER.changes] === after.words[HEADER.changes]) return before;
  const { layout } = after;
  const words = before.words.slice();
  const clear = (base: number, length: number, owner: number) => {
    if (words[base + owner] !== after.words[base + owner]) words.fill(0n, base, base + length);
  };
  for (let slot = 0; slot < layout.shape.queues; slot++) clear(layout.queue(slot), QUEUE.words, QUEUE.id);
  for (let index = 0; index < layout.shape.regions; index++)
    clear(layout.region(index), REGION.words, REGION.id);
  for (let index = 0; index < MAX_STATISTICS; index++)
    clear(layout.statistic(index), STATISTIC.words, STATISTIC.id);
  for (let entry = 0; entry < ADDRESS_ENTRIES; entry++)
    clear(layout.address(entry), ADDRESS.words, ADDRESS.key);
  return { ...before, words };
}

/** Whether both are of the same run of the VM, in this order. If not, there is no rate between them. */
export function comparable(before: Snapshot, after: Snapshot): boolean {
  return before.layout === after.layout && after.at > before.at;
}
