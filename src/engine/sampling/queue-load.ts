import { QUEUE } from '../../vmm/counters/counters.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import { countedQueues } from './counted.ts';
import { percentiles } from './histogram.ts';
import type { Window } from './window.ts';

/** A virtqueue in the table of all VMs' queues. Rates are per second. */
export type QueueLoad = {
  /** The queue's id in the VM's topology. */
  readonly id: number;
  readonly requests: number;
  readonly kicks: number;
  readonly interrupts: number;
  readonly bytesToGuest: number;
  readonly bytesFromGuest: number;
  readonly errors: number;
  /** Mean number of requests in flight. */
  readonly depth: number;
  /** Time from taken to returned, of the requests completed in the window; null if none were. */
  readonly p50Ns: number | null;
  readonly p99Ns: number | null;
};

export type QueueLoads = {
  /** By VM: the queues of its topology that have counters. */
  readonly byVm: Readonly<Record<string, readonly QueueLoad[]>>;
  /** The number of queues left out, of further VMs. */
  readonly omitted: number;
};

/** The most queues in one sample: each of them is sent to every screen that shows them. */
export const MAX_QUEUE_LOADS = 4096;

export function queueLoads(vm: Window, topology: Topology | null): readonly QueueLoad[] {
  return countedQueues(vm.after, topology).map(({ id, slot }) => ({ id, ...queueLoad(vm, slot) }));
}

function queueLoad(window: Window, slot: number): Omit<QueueLoad, 'id'> {
  const base = window.after.layout.queue(slot);
  const latency = percentiles(window.histogram(base + QUEUE.latency));
  return {
    requests: window.perSecond(base + QUEUE.requests),
    kicks: window.perSecond(base + QUEUE.kicks),
    interrupts: window.perSecond(base + QUEUE.interrupts),
    bytesToGuest: window.perSecond(base + QUEUE.bytesToGuest),
    bytesFromGuest: window.perSecond(base + QUEUE.bytesFromGuest),
    errors: window.perSecond(base + QUEUE.errors),
    depth: window.share(base + QUEUE.latencyNs),
    p50Ns: latency?.p50Ns ?? null,
    p99Ns: latency?.p99Ns ?? null,
  };
}
