import type { HostRoot } from '../root.ts';
import { integer, printable } from '../text.ts';

/** A process that has a device node open. */
export type Holder = { readonly pid: number; readonly command: string };

export type Holders = {
  /** By device node: `/dev/vfio/12`, `/dev/vfio/devices/vfio0`, `/dev/nvme0n1`. */
  readonly byNode: ReadonlyMap<string, readonly Holder[]>;
  /** False when some processes' files could not be seen: without root, those of other users. */
  readonly complete: boolean;
};

/** Looks through /proc for processes with the wanted nodes open. */
export function readHolders(root: HostRoot, wanted: (node: string) => boolean): Holders {
  const byNode = new Map<string, Holder[]>();
  let complete = true;
  for (const pid of root.list('/proc') ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    const nodes = openNodes(root, pid);
    if (nodes === null) complete = false;
    for (const node of new Set(nodes?.filter(wanted))) {
      const holder = { pid: integer(pid)!, command: printable(root.attribute(`/proc/${pid}/comm`) ?? '?') };
      byNode.set(node, [...(byNode.get(node) ?? []), holder]);
    }
  }
  return { byNode, complete };
}

/** Nodes under /dev that a process has open; null when it is not ours to look. */
function openNodes(root: HostRoot, pid: string): string[] | null {
  try {
    const directory = `/proc/${pid}/fd`;
    return (root.list(directory) ?? [])
      .map(fd => root.link(`${directory}/${fd}`))
      .filter(target => target?.startsWith('/dev/')) as string[];
  } catch {
    return null;
  }
}

/** `qemu-system-x86 (pid 812)`. */
export function holderText(holder: Holder): string {
  return `${holder.command} (pid ${holder.pid})`;
}
