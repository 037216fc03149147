import type { VmTotals } from '../engine/sampling/rates.ts';
import type { VmState } from '../engine/vm-info.ts';
import type { HostUsage } from '../host-service/usage.ts';
import type { AppState } from '../store/app-store.ts';
import type { VmHistory } from '../store/history.ts';
import { memoryInUse, type UsageSlice } from '../store/usage-slice.ts';
import { sumOfTotals } from '../store/vms-slice.ts';
import { bytes, percent, rate, uptime } from '../text/units.ts';
import { cpuScale, rateScale, type Scale, SHARE_SCALE } from './graph-scale.ts';
import { VM_STATES } from './vm-columns.ts';

/** A line of the overview. */
export type GaugeLine = {
  readonly name: string;
  /** The present value; empty if there is no single number. */
  readonly now: string;
  /** Its history, if worth a graph. */
  readonly graph?: { readonly values: readonly number[]; readonly scale: Scale };
  readonly text: string;
};

/** The host at a glance. @param all false to show only what matters most */
export function hostLines(usage: HostUsage, history: UsageSlice['usageHistory'], all: boolean): GaugeLine[] {
  const { memory, swap, loadAverage, uptimeSeconds } = usage.vitals;
  const load = loadAverage.map(value => value.toFixed(2)).join(' ');
  const swapped = swap.totalBytes - swap.freeBytes;
  const lines: readonly (GaugeLine | null)[] = [
    {
      name: 'CPU',
      now: percent(usage.cpu),
      graph: { values: history.cpu, scale: SHARE_SCALE },
      text: `load ${load}, up ${uptime(uptimeSeconds * 1000)}`,
    },
    {
      name: 'Memory',
      now: percent(memoryInUse(usage)),
      graph: { values: history.memory, scale: SHARE_SCALE },
      text: `${bytes(memory.totalBytes - memory.availableBytes)} of ${bytes(memory.totalBytes)}${swapped > 0 ? `, ${bytes(swapped)} swapped out` : ''}`,
    },
    { name: 'Pressure', now: '', text: waitsText(usage) },
    all ? { name: 'Huge pages', now: '', text: hugepagesText(usage) } : null,
    all ? { name: 'KSM', now: '', text: ksmText(usage) } : null,
    { name: 'KVM', now: '', text: `${kvmText(usage)}; ${iommuText(usage)}` },
    all && usage.vitals.stateSpace !== null
      ? { name: 'State', now: '', text: stateText(usage.vitals.stateSpace) }
      : null,
  ];
  return lines.filter(line => line !== null);
}

type Resource = keyof HostUsage['waits'];

const RESOURCES: Readonly<Record<Resource, string>> = { cpu: 'CPU', memory: 'memory', io: 'I/O' };

/** The share of time in which tasks wait for a resource: pressure stall information. */
function waitsText({ waits }: HostUsage): string {
  const each = Object.entries(waits).map(
    ([resource, share]) => `${RESOURCES[resource as Resource]} ${percent(share)}`,
  );
  return each.length === 0
    ? 'this kernel does not measure pressure; boot with psi=1'
    : `stalled on ${each.join(', ')} of the time`;
}

function hugepagesText({ vitals: { hugepages } }: HostUsage): string {
  const pools = hugepages
    .filter(({ total }) => total > 0)
    .map(({ pageBytes, total, free }) => `${free} of ${total} of ${bytes(pageBytes)} free`);
  return pools.length === 0 ? 'none reserved' : pools.join(', ');
}

function ksmText({ vitals: { ksmRuns, ksmSavedBytes } }: HostUsage): string {
  if (ksmRuns === null) return 'not in this kernel';
  const saved = ksmSavedBytes ? `, ${bytes(ksmSavedBytes)} saved` : '';
  return `${ksmRuns ? 'on' : 'off'}${saved}`;
}

const KVM_TEXTS = {
  usable: 'works',
  forbidden: 'cannot be opened by this user',
  absent: 'is missing',
} as const;

function kvmText({ vitals: { kvm } }: HostUsage): string {
  return `/dev/kvm ${KVM_TEXTS[kvm]}`;
}

function iommuText({ vitals: { iommuGroups } }: HostUsage): string {
  return iommuGroups === 0 ? 'IOMMU off or missing' : `IOMMU on, ${iommuGroups} groups`;
}

function stateText({
  path,
  totalBytes,
  availableBytes,
}: NonNullable<HostUsage['vitals']['stateSpace']>): string {
  return `${bytes(availableBytes)} of ${bytes(totalBytes)} free, for ${path}`;
}

/** The title of the lines about all VMs: their number in each state. */
export function vmsTitle({ order, infos }: AppState): string {
  const states = Map.groupBy(order, id => infos[id]!.state);
  const count = (state: VmState) => states.get(state)?.length ?? 0;
  const each = VM_STATES.filter(state => count(state) > 0).map(state => `${count(state)} ${state}`);
  return order.length === 0
    ? 'No VMs'
    : `${order.length} VM${order.length === 1 ? '' : 's'}: ${each.join(', ')}`;
}

/** @param cpus of the host, the most that all VMs together can use; null while unknown */
export function vmLines(
  totals: readonly VmTotals[],
  history: VmHistory,
  cpus: number | null,
): readonly GaugeLine[] {
  const { cpu, exits, requests } = sumOfTotals(totals);
  const disk = (key: 'diskReadBytes' | 'diskWriteBytes') =>
    bytes(totals.reduce((sum, one) => sum + one[key], 0));
  return [
    {
      name: 'CPU',
      now: percent(cpu),
      graph: { values: history.cpu, scale: cpuScale(cpus ?? Math.ceil(Math.max(0, ...history.cpu))) },
      text: `disks read ${disk('diskReadBytes')}/s, write ${disk('diskWriteBytes')}/s`,
    },
    {
      name: 'Exits/s',
      now: rate(exits),
      graph: { values: history.exits, scale: rateScale([history.exits]) },
      text: `${rate(requests)} requests/s`,
    },
  ];
}
