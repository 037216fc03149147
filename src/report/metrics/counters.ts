import type { Snapshot } from '../../engine/sampling/snapshot.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import type { HistogramPoint, Labels, MetricFacts } from './metric.ts';

export const NS_PER_SECOND = 1e9;
const BUCKETS = 32;
/** The counters' histograms have a bucket for each power of two; the text has every other one, from 256 ns up. */
const FIRST_BOUND = 8;
const BOUND_STEP = 2;

/** The counters of one VM that has run, with the labels of its queues and ranges. */
export type CountedVm = {
  readonly name: string;
  readonly topology: Topology;
  readonly snapshot: Snapshot;
};

export function countedVms({ vms }: MetricFacts): CountedVm[] {
  return vms.flatMap(({ info, snapshot }) =>
    snapshot === null || info.topology === null
      ? []
      : [{ name: info.name, topology: info.topology, snapshot }],
  );
}

export function word({ snapshot }: CountedVm, offset: number): number {
  return Number(snapshot.words[offset] ?? 0n);
}

/** @param first word of the histogram in the counters @param sumNs sum of all its observations */
export function latencyPoint(vm: CountedVm, labels: Labels, first: number, sumNs: number): HistogramPoint {
  const buckets: [number, number][] = [];
  let count = 0;
  for (let power = 0; power < BUCKETS; power++) {
    count += word(vm, first + power);
    const bound = power + 1;
    if (bound < FIRST_BOUND || bound === BUCKETS || (bound - FIRST_BOUND) % BOUND_STEP !== 0) continue;
    buckets.push([2 ** bound / NS_PER_SECOND, count]);
    count = 0;
  }
  buckets.push([Number.POSITIVE_INFINITY, count]);
  return { labels, buckets, sum: sumNs / NS_PER_SECOND };
}
