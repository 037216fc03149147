import type { HostRoot } from './root.ts';

const KiB = 2 ** 10;
/** Clock ticks of /proc a second: USER_HZ is 100 on every x86 Linux. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
const MICROSECONDS = 1e6;

/** How busy the host is. What its kernel doesn't count is null, or left out. */
export type HostLoad = {
  readonly cpus: number;
  /** Seconds of all CPUs together since the boot, by what they did (proc(5), /proc/stat). Guests are part of user and nice. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly hugepages: readonly HugepagePool[];
  /** Bytes of memory that same-page merging saves; null without KSM. */
  readonly ksmSavedBytes: number | null;
  /** Seconds in which some tasks, or all of them, waited for a resource (Documentation/accounting/psi.rst). */
  readonly stalled: readonly Stall[];
};

export type HugepagePool = { readonly pageBytes: number; readonly total: number; readonly free: number };

export type Stall = {
  readonly resource: 'cpu' | 'memory' | 'io';
  readonly tasks: 'some' | 'full';
  readonly seconds: number;
};

/** The fields of a CPU's line, in the kernel's order. */
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
  // A kernel that was booted with psi=0 has the file, but nothing in it: reading it is an error.
  const text = root.attribute(`/proc/pressure/${resource}`) ?? '';
  return [...text.matchAll(/^(some|full) .*total=(\d+)$/gm)].map(([, tasks, total]) => ({
    resource,
    tasks: tasks as Stall['tasks'],
    seconds: Number(total) / MICROSECONDS,
  }));
}
