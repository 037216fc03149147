import { stripVTControlCharacters } from 'node:util';
import type { AddressRates } from '../engine/sampling/address-rates.ts';
import { type Percentiles, percentiles } from '../engine/sampling/histogram.ts';
import { exitName, vcpuStateName } from '../engine/sampling/names.ts';
import type {
  QueueRates,
  RegionRates,
  StatisticRates,
  VcpuRates,
  VmDetail,
  VmTotals,
} from '../engine/sampling/rates.ts';
import type { VmInfo, VmState } from '../engine/vm-info.ts';
import { printable } from '../text/printable.ts';

/** Incremented when readers of the JSON must change. */
const REPORT_VERSION = 1;

/**
 * The facts about a VM over an interval: the same as on its screen, as plain data. Rates are per second, shares of wall
 * time are 0 to 1, totals count from the VM's start.
 */
export type Report = {
  readonly version: typeof REPORT_VERSION;
  /** Length of the interval. */
  readonly seconds: number;
  readonly vm: {
    readonly id: string;
    readonly name: string;
    readonly state: VmState;
    readonly reason: string | null;
    readonly exitCode: number | null;
    readonly vcpus: number;
    readonly memoryBytes: number;
    /** The process that runs it, and its layers of confinement; null if it is not confined. */
    readonly pid: number | null;
    readonly confinement: VmInfo['confinement'];
    /** By device, why it stopped serving its driver. */
    readonly broken: Readonly<Record<string, string>>;
    /** By device, the last request that failed on the host's disk. */
    readonly diskErrors: Readonly<Record<string, string>>;
  };
  readonly rates: VmTotals;
  readonly vcpus: readonly VcpuFacts[];
  readonly queues: readonly QueueFacts[];
  /** Ranges of ports and memory that were accessed. */
  readonly regions: readonly RegionFacts[];
  /** Devices' own statistics. */
  readonly statistics: readonly Omit<StatisticRates, 'id'>[];
  /** Exact addresses that were accessed, the most expensive first: at most 50. */
  readonly addresses: readonly AddressFacts[];
  /** The last lines from the first serial port. */
  readonly console: readonly string[];
};

export type VcpuFacts = {
  readonly index: number;
  readonly state: string;
  readonly thread: number | null;
  readonly hostCpu: number | null;
  readonly exitsPerSecond: number;
  readonly time: {
    readonly guest: number;
    readonly kvm: number;
    readonly devices: number;
    readonly idle: number;
  };
  /** Time taken to handle an exit. */
  readonly latency: Percentiles | null;
  readonly exits: readonly {
    /** KVM_EXIT_* without that prefix. */
    readonly reason: string;
    readonly perSecond: number;
    readonly share: number;
    readonly total: number;
  }[];
};

export type QueueFacts = Pick<
  QueueRates,
  'device' | 'type' | 'queue' | 'size' | 'batch' | 'inFlight' | 'totalRequests'
> & {
  readonly rates: Pick<QueueRates, (typeof QUEUE_RATES)[number]>;
  /** Time from taken to returned. */
  readonly latency: Percentiles | null;
};

export type RegionFacts = Pick<RegionRates, 'device' | 'space' | 'start' | 'size' | 'share' | 'total'> & {
  readonly rates: Pick<RegionRates, 'reads' | 'writes'>;
};

export type AddressFacts = Pick<
  AddressRates,
  'device' | 'space' | 'address' | 'share' | 'meanNs' | 'total'
> & {
  readonly rates: Pick<AddressRates, 'reads' | 'writes'>;
};

const QUEUE_RATES = [
  'kicks',
  'interrupts',
  'interruptsSuppressed',
  'requests',
  'bytesToGuest',
  'bytesFromGuest',
  'errors',
  'dropped',
] as const;

const CONSOLE_LINES = 10;

/** @param scrollback the last output of the serial port */
export function reportFacts(
  vm: VmInfo,
  totals: VmTotals,
  detail: VmDetail,
  scrollback: Uint8Array = new Uint8Array(),
): Report {
  return {
    version: REPORT_VERSION,
    seconds: detail.seconds,
    vm: {
      id: vm.id,
      name: vm.name,
      state: vm.state,
      reason: vm.reason,
      exitCode: vm.exitCode,
      vcpus: vm.vcpus,
      memoryBytes: vm.memoryBytes,
      pid: vm.pid,
      confinement: vm.confinement,
      broken: vm.broken,
      diskErrors: vm.diskErrors ?? {},
    },
    rates: totals,
    vcpus: detail.vcpus.map(vcpuFacts),
    queues: detail.queues.map(queueFacts),
    regions: detail.regions.filter(region => region.total > 0).map(regionFacts),
    statistics: detail.statistics.map(({ id: _, ...statistic }) => statistic),
    addresses: detail.addresses.map(addressFacts),
    console: lastLines(scrollback),
  };
}

function vcpuFacts({
  index,
  state,
  thread,
  hostCpu,
  exitsPerSecond,
  time,
  latency,
  exits,
}: VcpuRates): VcpuFacts {
  return {
    index,
    state: vcpuStateName(state),
    thread,
    hostCpu,
    exitsPerSecond,
    time: { ...time, idle: Math.max(0, 1 - time.guest - time.kvm - time.devices) },
    latency: percentiles(latency),
    exits: exits.map(({ reason, ...exit }) => ({ reason: exitName(reason), ...exit })),
  };
}

function queueFacts(queue: QueueRates): QueueFacts {
  const { device, type, size, batch, inFlight, totalRequests } = queue;
  const rates = Object.fromEntries(QUEUE_RATES.map(name => [name, queue[name]])) as QueueFacts['rates'];
  const latency = percentiles(queue.latency);
  return { device, type, queue: queue.queue, size, rates, batch, inFlight, totalRequests, latency };
}

function regionFacts({ id: _id, index: _, reads, writes, ...region }: RegionRates): RegionFacts {
  return { ...region, rates: { reads, writes } };
}

function addressFacts({ region: _, reads, writes, ...address }: AddressRates): AddressFacts {
  return { ...address, rates: { reads, writes } };
}

/** Its approximate appearance on a terminal: without escape sequences, and without text that `\r` overwrote. */
function lastLines(scrollback: Uint8Array): string[] {
  const text = stripVTControlCharacters(new TextDecoder().decode(scrollback));
  const lines = text.split('\n').map(line => printable(line.replace(/\r+$/, '').replace(/^.*\r/, '')));
  if (lines.at(-1) === '') lines.pop();
  return lines.slice(-CONSOLE_LINES);
}
