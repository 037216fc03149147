import { type DiskSpace, diskSpace } from './disk-space.ts';
import { type HostLoad, readHostLoad } from './load.ts';
import type { HostRoot } from './root.ts';
import { integer } from './text.ts';

const KiB = 2 ** 10;

/** Clock ticks since boot (proc(5), /proc/stat): busy, and total. */
export type CpuTicks = { readonly busy: number; readonly all: number };

/** What the overview shows of a host: how busy it is, and whether it can run guests. */
export type HostVitals = HostLoad & {
  /** One for each online CPU. */
  readonly cpuTicks: readonly CpuTicks[];
  readonly swap: { readonly totalBytes: number; readonly freeBytes: number };
  /** Load averages over 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[];
  readonly uptimeSeconds: number;
  /** Whether KSM is running; null if the kernel has none. */
  readonly ksmRuns: boolean | null;
  readonly kvm: 'usable' | 'forbidden' | 'absent';
  /** 0 if there is no IOMMU, or it is off. */
  readonly iommuGroups: number;
  /** The file system of the VM state; null for a recording. */
  readonly stateSpace: DiskSpace | null;
};

/** @param stateFolder the folder of the VM state, which need not exist yet */
export function readHostVitals(root: HostRoot, stateFolder: string): HostVitals {
  const meminfo = root.text('/proc/meminfo') ?? '';
  const memory = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0) * KiB;
  const averages = (root.text('/proc/loadavg') ?? '').split(' ').slice(0, 3).map(Number);
  const ksm = integer(root.attribute('/sys/kernel/mm/ksm/run'));
  return {
    ...readHostLoad(root),
    cpuTicks: cpuTicks(root.text('/proc/stat') ?? ''),
    swap: { totalBytes: memory('SwapTotal'), freeBytes: memory('SwapFree') },
    loadAverage: averages.some(Number.isNaN) ? [] : averages,
    uptimeSeconds: Number((root.text('/proc/uptime') ?? '').split(' ')[0]),
    ksmRuns: ksm === null ? null : ksm === 1,
    kvm: kvmState(root),
    iommuGroups: (root.list('/sys/kernel/iommu_groups') ?? []).length,
    stateSpace: root.live ? diskSpace(stateFolder) : null,
  };
}

function kvmState(root: HostRoot): HostVitals['kvm'] {
  const node = root.node('/dev/kvm');
  if (node === null) return 'absent';
  return node.usable ? 'usable' : 'forbidden';
}

/**
 * Fields of a CPU's line: user, nice, system, idle, iowait, irq, softirq, steal; guest time is included in the first
 * two.
 */
function cpuTicks(stat: string): CpuTicks[] {
  return [...stat.matchAll(/^cpu\d+ ([\d ]+)$/gm)].map(([, line]) => {
    const ticks = line!.split(' ').slice(0, 8).map(Number);
    const all = ticks.reduce((sum, field) => sum + field, 0);
    return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all };
  });
}
