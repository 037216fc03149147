import { UNIT_COMMANDS } from '../../devices/virtio/queue-counters.ts';
import { QUEUE, REGION, STATISTIC, VCPU } from '../../vmm/counters/counters.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import { type AddressHeat, addressHeat } from './address-rates.ts';
import { countedQueues, countedRegions, countedStatistics, countedVcpus } from './counted.ts';
import type { Histogram } from './histogram.ts';
import { type HostInterrupts, hostInterrupts } from './host-interrupts.ts';
import type { Window } from './window.ts';

/** One row of the VM list. Rates are per second. */
export type VmTotals = {
  /** CPU time of the vCPU threads per second of wall time: 1 is one fully used CPU. */
  readonly cpu: number;
  readonly exits: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly requests: number;
  readonly kicks: number;
  readonly interrupts: number;
};

/** Shares of wall time, 0 to 1; the remainder to 1 is idle: halted in KVM, or parked. */
export type TimeSplit = { readonly guest: number; readonly kvm: number; readonly devices: number };

export type ExitRate = {
  /** KVM_EXIT_*. */
  readonly reason: number;
  /** Since the baseline. */
  readonly total: number;
  readonly perSecond: number;
  /** Share of the vCPU's wall time spent handling these. */
  readonly share: number;
};

export type VcpuRates = {
  readonly index: number;
  /** A `VCPU_STATE` value; null for several vCPUs in different states. */
  readonly state: number | null;
  /** Linux thread id; null for several vCPUs, or before it is known. */
  readonly thread: number | null;
  /** The host CPU that its thread last ran on; null for several vCPUs, or before it has run. */
  readonly hostCpu: number | null;
  readonly exitsPerSecond: number;
  readonly time: TimeSplit;
  /** Reasons that have occurred since the baseline, the most frequent first. */
  readonly exits: readonly ExitRate[];
  /** Exits by the time taken to handle them. */
  readonly latency: Histogram;
};

export type QueueRates = {
  /** A later queue in the same slot has another id. */
  readonly id: number;
  readonly slot: number;
  readonly device: string;
  readonly queue: string;
  readonly type: string;
  readonly size: number;
  readonly kicks: number;
  /** Batches that the driver did not have to kick for. */
  readonly kicksSuppressed: number;
  readonly interrupts: number;
  readonly interruptsSuppressed: number;
  readonly requests: number;
  readonly bytesToGuest: number;
  readonly bytesFromGuest: number;
  readonly errors: number;
  /** Frames that a network card did not pass on: filtered, refused, or lost on the host. */
  readonly dropped: number;
  /** Requests that failed on the host's disk since the baseline. */
  readonly diskErrors: number;
  /** How often a rate limit of its device made it wait. */
  readonly throttled: number;
  /** Share of wall time in which requests waited because of a rate limit. */
  readonly throttledShare: number;
  /** Mean number of requests per batch; null if there were none. */
  readonly batch: number | null;
  /** Requests in flight at this moment. */
  readonly inFlight: number;
  /** Mean number of requests in flight, over those completed in this window. */
  readonly depth: number;
  /** The most requests ever in flight. */
  readonly maxInFlight: number;
  /** Requests since the baseline. */
  readonly totalRequests: number;
  /** Requests by the time from taken to returned. */
  readonly latency: Histogram;
};

export type RegionRates = {
  readonly id: number;
  readonly index: number;
  readonly device: string;
  readonly space: 'port' | 'memory';
  readonly start: number;
  readonly size: number;
  readonly reads: number;
  readonly writes: number;
  /** Share of wall time spent in its device model. */
  readonly share: number;
  /** Accesses since the baseline. */
  readonly total: number;
};

export type StatisticRates = {
  readonly id: number;
  readonly device: string;
  readonly name: string;
  readonly perSecond: number;
  /** Since the baseline. */
  readonly total: number;
};

/** All details of one VM, for its screen and the report. */
export type VmDetail = {
  readonly seconds: number;
  readonly vcpus: readonly VcpuRates[];
  readonly queues: readonly QueueRates[];
  readonly regions: readonly RegionRates[];
  readonly statistics: readonly StatisticRates[];
  /** Of its host devices; default: it has none. */
  readonly hostInterrupts?: HostInterrupts;
} & AddressHeat;

const EXIT_REASONS = 64;

export function vmTotals(window: Window, topology: Topology | null): VmTotals {
  const { layout, threads } = window.after;
  const totals = {
    cpu: 0,
    exits: 0,
    diskReadBytes: 0,
    diskWriteBytes: 0,
    requests: 0,
    kicks: 0,
    interrupts: 0,
  };
  for (const vcpu of countedVcpus(window.after, topology)) {
    const base = layout.vcpu(vcpu) + VCPU.exits;
    for (let reason = 0; reason < EXIT_REASONS; reason++) totals.exits += window.perSecond(base + reason);
  }
  const disks = new Set(
    topology?.devices.filter(({ backend }) => backend === 'disk').map(({ name }) => name),
  );
  for (const label of countedQueues(window.after, topology)) {
    const base = layout.queue(label.slot);
    if (label.queue !== UNIT_COMMANDS) totals.requests += window.perSecond(base + QUEUE.requests);
    totals.kicks += window.perSecond(base + QUEUE.kicks);
    totals.interrupts += window.perSecond(base + QUEUE.interrupts);
    if (!disks.has(label.device)) continue;
    totals.diskReadBytes += window.perSecond(base + QUEUE.bytesToGuest);
    totals.diskWriteBytes += window.perSecond(base + QUEUE.bytesFromGuest);
  }
  for (let vcpu = 0; vcpu < threads.length; vcpu++) {
    const { guest, user, system } = window.cpuShares(vcpu);
    totals.cpu += guest + user + system;
  }
  return totals;
}

export function vmDetail(window: Window, topology: Topology | null): VmDetail {
  const interrupts = hostInterrupts(window);
  return {
    seconds: window.seconds,
    vcpus: countedVcpus(window.after, topology).map(index => vcpuRates(window, index)),
    queues: countedQueues(window.after, topology).map(label => ({
      ...label,
      ...queueRates(window, label.slot),
    })),
    regions: countedRegions(window.after, topology).map(label => ({
      ...label,
      ...regionRates(window, label.index),
    })),
    statistics: countedStatistics(window.after, topology).map(({ id, index, device, name }) => {
      const word = window.after.layout.statistic(index) + STATISTIC.value;
      return { id, device, name, perSecond: window.perSecond(word), total: window.total(word) };
    }),
    ...(interrupts !== null && { hostInterrupts: interrupts }),
    ...addressHeat(window, topology),
  };
}

function vcpuRates(window: Window, index: number): VcpuRates {
  const base = window.after.layout.vcpu(index);
  const exits: ExitRate[] = [];
  for (let reason = 0; reason < EXIT_REASONS; reason++) {
    const total = window.total(base + VCPU.exits + reason);
    if (total === 0) continue;
    exits.push({
      reason,
      total,
      perSecond: window.perSecond(base + VCPU.exits + reason),
      share: window.share(base + VCPU.exitNs + reason),
    });
  }
  exits.sort((a, b) => b.total - a.total || a.reason - b.reason);
  return {
    index,
    state: Number(window.after.words[base + VCPU.state]),
    thread: window.after.threads[index]?.id ?? null,
    hostCpu: window.after.threads[index]?.hostCpu ?? null,
    exitsPerSecond: exits.reduce((sum, exit) => sum + exit.perSecond, 0),
    time: timeSplit(window, index),
    exits,
    latency: window.histogram(base + VCPU.latency),
  };
}

/**
 * How a vCPU spent its time. The counters have the time spent in device models; only the kernel knows how the rest
 * divides between the guest and KVM (guest time and system time of the thread).
 */
function timeSplit(window: Window, index: number): TimeSplit {
  const atMost = (share: number, most: number) => Math.min(share, Math.max(0, most));
  const cpu = window.cpuShares(index);
  const devices = atMost(window.share(window.after.layout.vcpu(index) + VCPU.deviceNs), 1);
  const guest = atMost(cpu.guest, 1 - devices);
  const kvm = atMost(cpu.system, 1 - devices - guest);
  return { guest, kvm, devices };
}

function queueRates(window: Window, slot: number) {
  const base = window.after.layout.queue(slot);
  const batches = window.moved(base + QUEUE.batches);
  return {
    kicks: window.perSecond(base + QUEUE.kicks),
    kicksSuppressed: window.perSecond(base + QUEUE.kicksSuppressed),
    interrupts: window.perSecond(base + QUEUE.interrupts),
    interruptsSuppressed: window.perSecond(base + QUEUE.interruptsSuppressed),
    requests: window.perSecond(base + QUEUE.requests),
    bytesToGuest: window.perSecond(base + QUEUE.bytesToGuest),
    bytesFromGuest: window.perSecond(base + QUEUE.bytesFromGuest),
    errors: window.perSecond(base + QUEUE.errors),
    dropped: window.perSecond(base + QUEUE.dropped),
    diskErrors: window.total(base + QUEUE.diskErrors),
    throttled: window.perSecond(base + QUEUE.throttled),
    throttledShare: window.share(base + QUEUE.throttledNs),
    batch: batches === 0 ? null : window.moved(base + QUEUE.requests) / batches,
    inFlight: Number(window.after.words[base + QUEUE.inFlight]),
    depth: window.share(base + QUEUE.latencyNs),
    maxInFlight: Number(window.after.words[base + QUEUE.maxInFlight]),
    totalRequests: window.total(base + QUEUE.requests),
    latency: window.histogram(base + QUEUE.latency),
  };
}

function regionRates(window: Window, index: number) {
  const base = window.after.layout.region(index);
  return {
    reads: window.perSecond(base + REGION.reads),
    writes: window.perSecond(base + REGION.writes),
    share: window.share(base + REGION.ns),
    total: window.total(base + REGION.reads) + window.total(base + REGION.writes),
  };
}
