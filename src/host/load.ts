import type { HostRoot } from './root.ts';

const KiB = 2 ** 10;
/** Clock ticks per second in /proc: USER_HZ is 100 on every x86 Linux. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
const MICROSECONDS = 1e6;

/** How busy the host is. What the kernel does not report is null, or omitted. */
export type HostLoad = {
  readonly cpus: number;
  /** Seconds since boot of all CPUs together, by mode (proc(5), /proc/stat). Guests are part of user and nice. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly hugepages: readonly HugepagePool[];
  /** Bytes of memory saved by KSM; null without it. */
  readonly ksmSavedBytes: number | null;
  /** Seconds in which some or all tasks waited for a resource (Documentation/accounting/psi.rst). */
  readonly stalled: readonly Stall[];
};

export type HugepagePool = { readonly pageBytes: number; readonly total: number; readonly free: number };

export type Stall = {
  readonly resource: 'cpu' | 'memory' | 'io';
  readonly tasks: 'some' | 'full';
  readonly seconds: number;
};

/** The fields of a CPU's line, in order. */
const CPU_MODES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const;

export function readHostLoad(root: HostRoot): HostLoad {
  const stat = root.text('/proc/stat') ?? '';
  const meminfo = root.text('/proc/meminfo') ?? '';
  const memory = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0) * KiB;
  return {
    cpus: stat.match(/^cpu\d+ /gm)?.length ?? 0,
    cpuSeconds: cpuSeconds(stat),
    memory: { totalBytes: memory('MemTotal'), availableBytes: memory('MemAvailable') },
    hugepages: hugepagePools(root),
    ksmSavedBytes: ksmSavedBytes(root),
    stalled: (['cpu', 'memory', 'io'] as const).flatMap(resource => stalls(root, resource)),
  };
}

function cpuSeconds(stat: string): Record<string, number> {
  const ticks = /^cpu +([\d ]+)$/m.exec(stat)?.[1]?.split(' ') ?? [];
  return Object.fromEntries(
    CPU_MODES.map((mode, field) => [mode, Number(ticks[field] ?? 0) / TICKS_PER_SECOND]),
  );
}

function hugepagePools(root: HostRoot): HugepagePool[] {
  const folder = '/sys/kernel/mm/hugepages';
  const pools = (root.list(folder) ?? []).flatMap(name => {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    if (Number.isNaN(kilobytes)) return [];
    const count = (file: string) => Number(root.attribute(`${folder}/${name}/${file}`) ?? 0);
    return [{ pageBytes: kilobytes * KiB, total: count('nr_hugepages'), free: count('free_hugepages') }];
  });
  return pools.sort((a, b) => a.pageBytes - b.pageBytes);
}

function ksmSavedBytes(root: HostRoot): number | null {
  const pages = root.attribute('/sys/kernel/mm/ksm/pages_sharing');
  return pages === null ? null : Number(pages) * PAGE_BYTES;
}

function stalls(root: HostRoot, resource: Stall['resource']): Stall[] {
  // With psi=0, the file exists, but reading it fails.
  const text = root.attribute(`/proc/pressure/${resource}`) ?? '';
  return [...text.matchAll(/^(some|full) .*total=(\d+)$/gm)].map(([, tasks, total]) => ({
    resource,
    tasks: tasks as Stall['tasks'],
    seconds: Number(total) / MICROSECONDS,
  }));
}
