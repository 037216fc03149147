import type { HostRoot } from '../root.ts';
import { integer, printable } from '../text.ts';
import { isUninterruptible, type OpenFile, type OpenFiles } from './open-files.ts';

/** A process that has a device open. */
export type Holder = {
  readonly pid: number;
  readonly command: string;
  /** Name of the user it runs as, or the numeric id; null if not known. */
  readonly user: string | null;
  /** The VM that it runs, if it is a process of vring, or QEMU with -name. */
  readonly vm?: string;
};

export type Holders = {
  /** By the caller's key for a file. */
  readonly byKey: ReadonlyMap<string, readonly Holder[]>;
  /** False if some processes could not be examined: without root, those of other users. */
  readonly complete: boolean;
};

/** The processes with certain files open. @param keyOf the key for a file; null to ignore it */
export function holdersOf({ root, processes }: OpenFiles, keyOf: (file: OpenFile) => string | null): Holders {
  const byKey = new Map<string, Holder[]>();
  let complete = true;
  for (const { pid, files } of processes) {
    if (files === null) complete = false;
    const keys = new Set((files ?? []).map(keyOf).filter(key => key !== null));
    if (keys.size === 0) continue;
    const holder = readHolder(root, pid);
    for (const key of keys) byKey.set(key, [...(byKey.get(key) ?? []), holder]);
  }
  return { byKey, complete };
}

function readHolder(root: HostRoot, pid: string): Holder {
  const uid = /^Uid:\s*(\d+)/m.exec(root.text(`/proc/${pid}/status`) ?? '')?.[1];
  const command = printable(root.attribute(`/proc/${pid}/comm`) ?? '?');
  const vm = /^(vring: |vring-net-user$|qemu|kvm)/.test(command) ? machineName(root, pid) : null;
  return {
    pid: integer(pid)!,
    command,
    user: uid === undefined ? null : userName(root, uid),
    ...(vm !== null && { vm }),
  };
}

/** The title of a process that runs a VM is the VM's name; `comm` has only its beginning. */
const MACHINE = 'vring: ';

/** The command line is read with the mmap lock, too. */
function machineName(root: HostRoot, pid: string): string | null {
  if (isUninterruptible(root, pid)) return null;
  const words = (root.text(`/proc/${pid}/cmdline`) ?? '').split('\0');
  return printable(nameInCommandLine(words) ?? '') || null;
}

/**
 * A VM's name in the command line of one of its processes: `vring: web`, `vring-net-user vm=web`, or QEMU's `-name
 * guest=web`.
 */
export function nameInCommandLine(words: readonly string[]): string | null {
  const title = words[0] ?? '';
  if (title.startsWith(MACHINE)) return title.slice(MACHINE.length).trim();
  if (title.endsWith('/vring-net-user')) return words.find(word => word.startsWith('vm='))?.slice(3) ?? null;
  if (!/(^|\/)(qemu-system-\w+|qemu-kvm|kvm)$/.test(title)) return null;
  const at = words.findIndex(word => word === '-name' || word === '--name');
  const match = at < 0 ? null : /^(?:.*,)?guest=([^,]+)|^([^,=]+)/.exec(words[at + 1] ?? '');
  return match?.[1] ?? match?.[2] ?? null;
}

function userName(root: HostRoot, uid: string): string {
  const line = new RegExp(`^([^:\n]+):[^:\n]*:${uid}:`, 'm').exec(root.text('/etc/passwd') ?? '');
  return printable(line?.[1] ?? '') || uid;
}

/** Each process once. */
export function uniqueHolders(holders: readonly Holder[]): Holder[] {
  return [...new Map(holders.map(holder => [holder.pid, holder])).values()];
}

/** `dpdk-testpmd (pid 811)`, `VM web (pid 813)`, `VM web of qemu-system-x86 (pid 812)`. */
export function holderText(holder: Holder): string {
  const { command, pid, vm } = holder;
  const what = vm === undefined ? command : isOfVring(holder) ? `VM ${vm}` : `VM ${vm} of ${command}`;
  return `${what} (pid ${pid})`;
}

/** Whether it is the process of one of vring's VMs. */
export function isOfVring({ command, vm }: Pick<Holder, 'command' | 'vm'>): boolean {
  return vm !== undefined && (command.startsWith(MACHINE.trim()) || command === 'vring-net-user');
}

/** `qemu-system-x86 (pid 812) of user alice`. */
export function holderAndUser(holder: Holder): string {
  return `${holderText(holder)}${holder.user === null ? '' : ` of user ${holder.user}`}`;
}
