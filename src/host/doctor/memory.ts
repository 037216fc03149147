import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import { type Finding, info, ok } from './finding.ts';

const nodes = '/sys/devices/system/node';

export function memoryFindings(root: HostRoot): Finding[] {
  return [hugepages(root), ksm(root), numa(root), memlock(root), overcommit(root)];
}

export type HugepagePool = {
  /** Bytes of one page. */
  readonly size: number;
  readonly total: number;
  readonly free: number;
  /** Free pages by NUMA node. */
  readonly nodes: Readonly<Record<string, number>>;
};

export function readHugepages(root: HostRoot): HugepagePool[] {
  const directory = '/sys/kernel/mm/hugepages';
  return (root.list(directory) ?? []).flatMap(name => {
    const size = /^hugepages-(\d+)kB$/.exec(name);
    if (size === null) return [];
    const read = (file: string): number => integer(root.attribute(`${directory}/${name}/${file}`)) ?? 0;
    const free = nodeNames(root).map(node => [
      node.slice(4),
      integer(root.attribute(`${nodes}/${node}/hugepages/${name}/free_hugepages`)) ?? 0,
    ]);
    return [
      {
        size: Number(size[1]) * 1024,
        total: read('nr_hugepages'),
        free: read('free_hugepages'),
        nodes: Object.fromEntries(free),
      },
    ];
  });
}

function hugepages(root: HostRoot): Finding {
  const why = 'huge pages reduce TLB misses in large guests and in the IOMMU';
  const used = readHugepages(root).filter(pool => pool.total > 0);
  const title = used
    .map(pool => `${pool.free} of ${pool.total} huge pages of ${pool.size >> 20} MiB free`)
    .join(', ');
  return info('memory.hugepages', 'memory', title || 'no huge pages are reserved', why);
}

function ksm(root: HostRoot): Finding {
  const run = root.attribute('/sys/kernel/mm/ksm/run');
  const title = run === null ? 'this kernel has no KSM' : run === '1' ? 'KSM is on' : 'KSM is off';
  const why =
    'KSM merges identical pages, trading CPU time for memory; memory of guests with passed-through devices is pinned and never merged';
  return info('memory.ksm', 'memory', title, why);
}

function numa(root: HostRoot): Finding {
  const count = nodeNames(root).length;
  const title = count > 1 ? `${count} NUMA nodes` : 'one NUMA node';
  return info(
    'memory.numa',
    'memory',
    title,
    "keep a guest's vCPUs and memory on the NUMA node of its devices",
  );
}

function nodeNames(root: HostRoot): string[] {
  return (root.list(nodes) ?? []).filter(name => /^node\d+$/.test(name));
}

/** linux/capability.h: to lock any amount of memory, and to raise the limit. */
const CAP_IPC_LOCK = 14n;
const CAP_SYS_RESOURCE = 24n;

/** The hard limit of a process of this user on locked memory, in bytes; null if unlimited. */
export function lockableMemory(root: HostRoot): number | null {
  const status = root.text('/proc/self/status') ?? '';
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  if ([CAP_IPC_LOCK, CAP_SYS_RESOURCE].some(each => (capabilities >> each) & 1n)) return null;
  const limit = /^Max locked memory\s+\S+\s+(\S+)/m.exec(root.text('/proc/self/limits') ?? '')?.[1];
  return limit === undefined || limit === 'unlimited' ? null : Number(limit);
}

function memlock(root: HostRoot): Finding {
  const id = 'memory.memlock';
  const why = 'all memory of a guest with passed-through devices is locked and counts against this limit';
  const limit = lockableMemory(root);
  if (limit === null) return ok(id, 'memory', 'locked memory is unlimited', why);
  return {
    id,
    area: 'memory',
    state: 'warn',
    title: `this user may lock ${Math.floor(limit / (1 << 20))} MiB (RLIMIT_MEMLOCK)`,
    why,
    repair: [
      'add "<user> - memlock unlimited" to /etc/security/limits.d/vring.conf and log in again',
      'for a service: LimitMEMLOCK=infinity in its unit',
    ],
  };
}

function overcommit(root: HostRoot): Finding {
  const id = 'memory.overcommit';
  const why = 'with strict accounting, a guest starts only if all its memory can be reserved';
  const mode = root.attribute('/proc/sys/vm/overcommit_memory');
  if (mode !== '2')
    return ok(id, 'memory', `memory overcommit: ${mode === '1' ? 'always' : 'heuristic'}`, why);
  return {
    id,
    area: 'memory',
    state: 'warn',
    title: 'memory overcommit: never (overcommit_memory=2)',
    why,
    repair: ['sysctl vm.overcommit_memory=0'],
  };
}
