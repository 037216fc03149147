import { QUEUE, REGION, STATISTIC } from '../../vmm/counters/counters.ts';
import type { QueueLabel, RegionPlace, StatisticPlace, Topology } from '../../vmm/machine/topology.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The queues whose counters the snapshot has. Topology and counters arrive from the machine separately: for a moment
 * one may include a queue that the other does not have yet, or no longer has.
 */
export function countedQueues({ words, layout }: Snapshot, topology: Topology | null): QueueLabel[] {
  return (topology?.queues ?? []).filter(
    ({ slot, id }) => words[layout.queue(slot) + QUEUE.id] === BigInt(id),
  );
}

/** The port and memory ranges whose counters the snapshot has. */
export function countedRegions({ words, layout }: Snapshot, topology: Topology | null): RegionPlace[] {
  return (topology?.regions ?? []).filter(
    ({ index, id }) => words[layout.region(index) + REGION.id] === BigInt(id),
  );
}

/** The device statistics that the snapshot has. */
export function countedStatistics({ words, layout }: Snapshot, topology: Topology | null): StatisticPlace[] {
  return (topology?.statistics ?? []).filter(
    ({ index, id }) => words[layout.statistic(index) + STATISTIC.id] === BigInt(id),
  );
}

/** The indices of the present vCPUs. The counters may have room for more. */
export function countedVcpus({ layout }: Snapshot, topology: Topology | null): number[] {
  const { vcpus } = layout.shape;
  const labels = topology?.vcpuLabels;
  if (labels !== undefined) return labels.map(({ index }) => index).filter(index => index < vcpus);
  return Array.from({ length: Math.min(vcpus, topology?.vcpus ?? vcpus) }, (_, index) => index);
}
