import { QUEUE } from '../../vmm/counters/counters.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import { countedQueues } from './counted.ts';
import { percentiles } from './histogram.ts';
import type { Window } from './window.ts';

/** A virtqueue among those of all VMs: what a table of them shows. Rates are per second. */
export type QueueLoad = {
  /** Of the queue in the VM's topology. */
  readonly id: number;
  readonly requests: number;
  readonly kicks: number;
  readonly interrupts: number;
  readonly bytesToGuest: number;
  readonly bytesFromGuest: number;
  readonly errors: number;
  /** Mean number of requests in flight. */
  readonly depth: number;
  /** Time from taken to returned, of the requests that returned; null: none did. */
  readonly p50Ns: number | null;
  readonly p99Ns: number | null;
};

export type QueueLoads = {
  /** By VM: those of its topology's queues that have been counted. */
  readonly byVm: Readonly<Record<string, readonly QueueLoad[]>>;
  /** Queues of further VMs, which are left out. */
  readonly omitted: number;
};

/** As many queues as one sample tells of: each of them goes to every screen that watches. */
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
