import { QUEUE, REGION, STATISTIC } from '../../vmm/counters/counters.ts';
import type { QueueLabel, RegionPlace, StatisticPlace, Topology } from '../../vmm/machine/topology.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The queues whose counters the snapshot has. Topology and counters come from the machine on different ways: for a moment one of
 * them may know of a queue that the other doesn't, or no longer does.
 */
export function countedQueues({ words, layout }: Snapshot, topology: Topology | null): QueueLabel[] {
  return (topology?.queues ?? []).filter(
    ({ slot, id }) => words[layout.queue(slot) + QUEUE.id] === BigInt(id),
  );
}

/** The ranges of ports and memory whose counters the snapshot has. */
export function countedRegions({ words, layout }: Snapshot, topology: Topology | null): RegionPlace[] {
  return (topology?.regions ?? []).filter(
    ({ index, id }) => words[layout.region(index) + REGION.id] === BigInt(id),
  );
}

/** The statistics of devices that the snapshot has. */
export function countedStatistics({ words, layout }: Snapshot, topology: Topology | null): StatisticPlace[] {
  return (topology?.statistics ?? []).filter(
    ({ index, id }) => words[layout.statistic(index) + STATISTIC.id] === BigInt(id),
  );
}

/** How many vCPUs there are. The counters may have room for more. */
export function countedVcpus({ layout }: Snapshot, topology: Topology | null): number {
  const { vcpus } = layout.shape;
  return Math.min(vcpus, topology?.vcpus ?? vcpus);
}
