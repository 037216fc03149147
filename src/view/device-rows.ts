import { type Histogram, sumOfHistograms } from '../engine/sampling/histogram.ts';
import type { HostInterrupts } from '../engine/sampling/host-interrupts.ts';
import type { StatisticRates, VmDetail } from '../engine/sampling/rates.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { logTime } from '../text/time.ts';
import { bytes, count, percent, rate } from '../text/units.ts';
import type { DeviceFact, DeviceLabel } from '../vmm/machine/topology.ts';
import { type Fact, fact } from './facts.ts';
import { passedDeviceFacts } from './passed-device-facts.ts';

/** A device, with the rates of all its queues and of the ports and memory that it answers. */
export type DeviceRow = DeviceLabel & {
  /** Why it no longer serves its driver; null while it does. */
  readonly broken: string | null;
  /** What the host's disk failed last. */
  readonly diskErrors: string | null;
  readonly queues: number;
  readonly requests: number;
  readonly bytesToGuest: number;
  readonly bytesFromGuest: number;
  readonly inFlight: number;
  readonly errors: number;
  /** Frames per second that a network card dropped. */
  readonly dropped: number;
  /** Times per second that a limit made a queue wait, and the share of wall time of the queue that waited longest. */
  readonly throttled: number;
  readonly throttledShare: number;
  readonly latency: Histogram;
  /** Accesses to its ports and memory that were exits. */
  readonly accesses: number;
  /** Share of wall time that these took. */
  readonly share: number;
  /** What it counts by names of its own. */
  readonly statistics: readonly StatisticRates[];
  /** Of its vectors, where it is one of the host; null: none are counted. */
  readonly hostInterrupts: HostInterrupts | null;
  /** Interrupts per second, of its queues or vectors. */
  readonly interrupts: number;
};

/** The devices of a VM, or those with back ends of one kind, in the order of the machine's. */
export function deviceRows(
  vm: VmInfo,
  rates: VmDetail | null,
  backend?: DeviceLabel['backend'],
): DeviceRow[] {
  return (vm.topology?.devices ?? [])
    .filter(device => backend === undefined || device.backend === backend)
    .map(device => ({
      ...device,
      broken: vm.broken[device.name] ?? null,
      diskErrors: vm.diskErrors?.[device.name] ?? null,
      ...ratesOf(device.name, rates),
    }));
}

/** What there is to say in place of the times of requests: none have been returned, or they are not timed, as those of a card's model are not. */
export function noLatencyText({ requests, backend }: Pick<DeviceRow, 'requests' | 'backend'>): string {
  const what = backend === 'net' ? 'packets' : 'requests';
  return requests > 0
    ? `${what} are not timed here`
    : backend === 'net'
      ? 'no packets'
      : 'no requests returned';
}

function ratesOf(device: string, rates: VmDetail | null) {
  const queues = rates?.queues.filter(queue => queue.device === device) ?? [];
  const regions = rates?.regions.filter(region => region.device === device) ?? [];
  const hostInterrupts = hostInterruptsOf(device, rates);
  const sum = <One>(of: readonly One[], value: (one: One) => number) =>
    of.reduce((total, one) => total + value(one), 0);
  return {
    queues: queues.length,
    requests: sum(queues, queue => queue.requests),
    bytesToGuest: sum(queues, queue => queue.bytesToGuest),
    bytesFromGuest: sum(queues, queue => queue.bytesFromGuest),
    inFlight: sum(queues, queue => queue.inFlight),
    errors: sum(queues, queue => queue.errors),
    dropped: sum(queues, queue => queue.dropped),
    throttled: sum(queues, queue => queue.throttled),
    throttledShare: Math.max(0, ...queues.map(queue => queue.throttledShare)),
    latency: sumOfHistograms(queues.map(queue => queue.latency)),
    accesses: sum(regions, region => region.reads + region.writes),
    share: sum(regions, region => region.share),
    statistics: rates?.statistics.filter(statistic => statistic.device === device) ?? [],
    hostInterrupts,
    interrupts:
      sum(queues, queue => queue.interrupts) + sum(hostInterrupts?.vectors ?? [], vector => vector.perSecond),
  };
}

function hostInterruptsOf(device: string, rates: VmDetail | null): HostInterrupts | null {
  const all = rates?.hostInterrupts;
  const vectors = all?.vectors.filter(vector => vector.device === device) ?? [];
  return all === undefined || vectors.length === 0 ? null : { posted: all.posted, vectors };
}

/** What stays as it is while the machine runs, what the device counts itself, and where it answers. */
export function deviceFacts(
  { topology, hostDevices = [] }: VmInfo,
  device: DeviceRow,
  host: HostSnapshot | null = null,
): Fact[] {
  const regions = topology?.regions.filter(region => region.device === device.name) ?? [];
  const queues = topology?.queues.filter(queue => queue.device === device.name && queue.size > 0) ?? [];
  const taken = hostDevices.find(({ address }) => address === device.hostDevice?.address);
  return [
    ...(device.broken === null ? [] : [fact('Broken', device.broken, 'status.error')]),
    ...(device.removing === undefined
      ? []
      : [
          fact(
            'Leaving',
            `asked at ${logTime(device.removing)}, the guest has not released it yet: D takes it by force, or lets it stay`,
            'status.warning',
          ),
        ]),
    ...(device.diskErrors === null ? [] : [fact('Disk errors', device.diskErrors, 'status.error')]),
    ...(device.hostDevice === undefined
      ? []
      : passedDeviceFacts(device.hostDevice, { taken, host, counted: device.hostInterrupts })),
    fact('Type', device.title),
    fact('Bus', device.address === null ? device.bus : `${device.bus}, at ${device.address}`),
    ...otherFacts(device).map(({ label, value, unit }) => fact(capitalized(label), factText(value, unit))),
    ...device.statistics.map(({ name, total, perSecond }) =>
      fact(capitalized(name), `${count(total)}, ${rate(perSecond)}/s`),
    ),
    ...throttledFacts(device),
    ...(regions.length === 0
      ? []
      : [{ name: 'Regions', texts: [regions.map(rangeText).join(', ')] } satisfies Fact]),
    ...(queues.length === 0
      ? []
      : [fact('Virtqueues', queues.map(({ queue, size }) => `${queue} (${size})`).join(', '))]),
  ];
}

/** Facts of a passed-through device say what is said of it anyway. */
function otherFacts({ facts, hostDevice }: DeviceRow): readonly DeviceFact[] {
  return facts.filter(({ value }) => value !== hostDevice?.address);
}

/** How much a limit holds requests back, while it does. */
export function throttledFacts({
  throttled,
  throttledShare,
}: Pick<DeviceRow, 'throttled' | 'throttledShare'>): Fact[] {
  if (throttled === 0 && throttledShare === 0) return [];
  return [
    fact('Throttled', `${percent(throttledShare)} of the time, ${rate(throttled)}/s`, 'status.warning'),
  ];
}

function capitalized(label: string): string {
  return label.charAt(0).toUpperCase() + label.slice(1);
}

function rangeText({ space, start, size }: { space: string; start: number; size: number }): string {
  const last = size === 1 ? '' : `-${(start + size - 1).toString(16)}`;
  return `${space} ${start.toString(16)}${last}`;
}

/** A fact's value as people write it: `10G`, `yes`. */
export function factText(value: DeviceFact['value'], unit: DeviceFact['unit']): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return unit === 'bytes' ? bytes(Number(value)) : String(value);
}
