import { type Histogram, sumOfHistograms } from '../engine/sampling/histogram.ts';
import type { HostInterrupts } from '../engine/sampling/host-interrupts.ts';
import type { StatisticRates, VmDetail } from '../engine/sampling/rates.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { logTime } from '../text/time.ts';
import { bytes, count, percent, rate } from '../text/units.ts';
import type { DeviceFact, DeviceLabel } from '../vmm/machine/topology.ts';
import { type Fact, fact } from './facts.ts';
import { passedDeviceFacts } from './passed-device-facts.ts';

/** A device, with the rates of all its queues and of its ports and memory. */
export type DeviceRow = DeviceLabel & {
  /** Default: the machine has it, or had it when it last ran. Else it is in the definition of a VM that is off. */
  readonly onlyDefined?: true;
  /** The host's PCI function that the definition passes through as this device. */
  readonly host?: string;
  /** The definition does not list it: these devices need it. */
  readonly neededBy?: readonly string[];
  /** Why it no longer serves its driver; null while it does. */
  readonly broken: string | null;
  /** The last request that failed on the host's disk. */
  readonly diskErrors: string | null;
  readonly queues: number;
  readonly requests: number;
  readonly bytesToGuest: number;
  readonly bytesFromGuest: number;
  readonly inFlight: number;
  readonly errors: number;
  /** Frames per second that a network card dropped. */
  readonly dropped: number;
  /**
   * How often per second a rate limit made a queue wait, and the share of wall time for the queue that waited longest.
   */
  readonly throttled: number;
  readonly throttledShare: number;
  readonly latency: Histogram;
  /** Accesses to its ports and memory that caused exits. */
  readonly accesses: number;
  /** Share of wall time spent handling them. */
  readonly share: number;
  /** The model's own statistics. */
  readonly statistics: readonly StatisticRates[];
  /** The vectors of a host device; null if none are counted. */
  readonly hostInterrupts: HostInterrupts | null;
  /** Interrupts per second, of its queues or vectors. */
  readonly interrupts: number;
};

/**
 * The devices of a VM, optionally only those with one kind of back end, in the machine's order. A VM that is off has
 * those that it gets at its next start.
 */
export function deviceRows(
  vm: VmInfo,
  rates: VmDetail | null,
  backend?: DeviceLabel['backend'],
): DeviceRow[] {
  return devicesOf(vm)
    .filter(device => backend === undefined || device.backend === backend)
    .map(device => ({
      ...device,
      broken: vm.broken[device.name] ?? null,
      diskErrors: vm.diskErrors?.[device.name] ?? null,
      ...ratesOf(device.name, device.onlyDefined ? null : rates),
    }));
}

/** Whether the devices of a VM are those of its definition: it is off, and does not continue from a saved state. */
export function isAsDefined(vm: VmInfo): boolean {
  return (
    !isAlive(vm) && vm.defined && vm.problem === null && (vm.saved === undefined || vm.topology === null)
  );
}

function devicesOf(
  vm: VmInfo,
): readonly (DeviceLabel & Pick<DeviceRow, 'onlyDefined' | 'host' | 'neededBy'>)[] {
  const { topology, definedDevices = [] } = vm;
  const last = topology?.devices ?? [];
  if (!isAsDefined(vm)) return last;
  const ofConfiguration = new Set((topology?.places?.devices ?? []).map(({ name }) => name));
  const ofEveryMachine =
    topology?.places === undefined ? [] : last.filter(({ name }) => !ofConfiguration.has(name));
  return [
    ...ofEveryMachine,
    ...definedDevices.map(({ path: _, drive: __, ...device }) => ({
      ...device,
      facts: [
        ...device.facts,
        ...lastFacts(
          device.facts,
          last.find(({ name }) => name === device.name),
        ),
      ],
      address: null,
      onlyDefined: true as const,
    })),
  ];
}

/** What the last run has shown about the file of a disk, if the disk is still the same. */
function lastFacts(facts: readonly DeviceFact[], last: DeviceLabel | undefined): readonly DeviceFact[] {
  const has = (label: string) => facts.some(fact => fact.label === label);
  const path = facts.find(({ label }) => label === 'path')?.value;
  if (path === undefined || !last?.facts.some(({ label, value }) => label === 'path' && value === path))
    return [];
  return last.facts.filter(({ label }) => (label === 'size' || label === 'format') && !has(label));
}

/**
 * The text in place of request times: no request was completed, or they are not timed, as for models of network cards.
 */
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

/** The facts that stay the same while the machine runs, the device's own statistics, and its addresses. */
export function deviceFacts(
  { topology, hostDevices = [] }: VmInfo,
  device: DeviceRow,
  host: HostSnapshot | null = null,
): Fact[] {
  const last = device.onlyDefined ? null : topology;
  const regions = last?.regions.filter(region => region.device === device.name) ?? [];
  const queues = last?.queues.filter(queue => queue.device === device.name && queue.size > 0) ?? [];
  const taken = hostDevices.find(({ address }) => address === device.hostDevice?.address);
  return [
    ...(device.broken === null ? [] : [fact('Broken', device.broken, 'status.error')]),
    ...(device.removing === undefined
      ? []
      : [
          fact(
            'Leaving',
            `asked at ${logTime(device.removing)}, the guest has not released it yet: D removes it by force, or keeps it`,
            'status.warning',
          ),
        ]),
    ...(device.diskErrors === null ? [] : [fact('Disk errors', device.diskErrors, 'status.error')]),
    ...(device.hostDevice === undefined
      ? []
      : passedDeviceFacts(device.hostDevice, { taken, host, counted: device.hostInterrupts })),
    ...(device.onlyDefined ? [fact('State', 'not running: as in the definition, for the next start')] : []),
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

/** Without facts of a passed-through device that are shown elsewhere. */
function otherFacts({ facts, hostDevice }: DeviceRow): readonly DeviceFact[] {
  return facts.filter(({ value }) => value !== hostDevice?.address);
}

/** How much a rate limit delays requests, while it does. */
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

/** A fact's value for people: `10G`, `yes`. */
export function factText(value: DeviceFact['value'], unit: DeviceFact['unit']): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return unit === 'bytes' ? bytes(Number(value)) : String(value);
}
