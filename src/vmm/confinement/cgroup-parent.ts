import {
  constants as accessModes,
  accessSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { makeFolders } from '../../files/make-folders.ts';
import { codeText } from '../../text/errno.ts';
import { Cgroup } from './cgroup.ts';

/** The controllers that the limits of VMs need. */
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
type Controller = (typeof CONTROLLERS)[number];

/** The manager's own child: a cgroup with controllers for its children has no processes of its own (cgroups(7)). */
const OWN_CHILD = 'manager';
/** Prefix of VMs' cgroups: then come the manager's process id and a number. */
const PREFIX = 'vring-';
const HOW =
  'run the manager by its systemd unit, or under `systemd-run --user --scope -p Delegate=yes` (as root without --user)';

/** There can be no cgroups for VMs; the message gives the reason and the next step. */
export class NoCgroups extends Error {
  override readonly name = 'NoCgroups';
}

/** Where this process may create cgroups: a delegated subtree of cgroup v2, from whose top it has moved itself. */
export class CgroupParent {
  readonly #path: string;
  #made = 0;
  /** The controllers available to VMs here. */
  readonly controllers: ReadonlySet<Controller>;

  private constructor(path: string, controllers: ReadonlySet<Controller>) {
    this.#path = path;
    this.controllers = controllers;
  }

  /**
   * Moves this process with all of its threads into a child of its cgroup, and opens the rest to VMs. Idempotent.
   * @throws NoCgroups
   */
  static prepare(proc = '/proc/self'): CgroupParent {
    const mount = mountPoint(readFileSync(join(proc, 'mountinfo'), 'utf8'));
    if (mount === null) throw new NoCgroups('cgroup v2 is not mounted on this host');
    const own = ownCgroup(readFileSync(join(proc, 'cgroup'), 'utf8'));
    const path = join(mount, own.replace(new RegExp(`/${OWN_CHILD}$`), ''));
    checkDelegated(path);
    try {
      // The root cgroup has no type, and may have both processes and controllers for its children.
      if (existsSync(join(path, 'cgroup.type'))) moveInto(join(path, OWN_CHILD));
      const parent = new CgroupParent(path, enable(path));
      parent.#sweep();
      return parent;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EBUSY') throw new NoCgroups(`other processes are in vring's cgroup ${own}: ${HOW}`);
      throw new NoCgroups(`vring's cgroup ${own} cannot be divided (${code}): ${HOW}`);
    }
  }

  /** Makes an empty cgroup. @throws NoCgroups */
  create(): Cgroup {
    const path = join(this.#path, `${PREFIX}${process.pid}-${++this.#made}`);
    try {
      makeFolders(path);
    } catch (error) {
      throw new NoCgroups(
        `cgroup ${path} cannot be made: ${codeText((error as NodeJS.ErrnoException).code)}`,
      );
    }
    return new Cgroup(path);
  }

  /** Removes cgroups left by managers that are gone. One with a machine in it cannot be removed, and stays. */
  #sweep(): void {
    for (const name of readdirSync(this.#path)) {
      const manager = /^vring-(\d+)-\d+$/.exec(name)?.[1];
      if (manager === undefined || existsSync(`/proc/${manager}`)) continue;
      try {
        rmdirSync(join(this.#path, name));
      } catch {}
    }
  }
}

/** The cgroup that an earlier manager created for a machine's process; null if it is in none. */
export function cgroupOfMachine(pid: number): Cgroup | null {
  try {
    const mount = mountPoint(readFileSync('/proc/self/mountinfo', 'utf8'));
    const own = ownCgroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
    if (mount === null || !new RegExp(`/${PREFIX}\\d+-\\d+$`).test(own)) return null;
    return new Cgroup(join(mount, own));
  } catch {
    return null;
  }
}

/** From /proc/self/mountinfo (proc_pid_mountinfo(5)): the mount point of cgroup v2, with or without v1. */
function mountPoint(mountinfo: string): string | null {
  const line = mountinfo.split('\n').find(line => / - cgroup2 /.test(line));
  return line?.split(' ')[4] ?? null;
}

/** From /proc/self/cgroup: the path in v2, `0::/system.slice/vring.service`. */
function ownCgroup(cgroup: string): string {
  return /^0::(.*)$/m.exec(cgroup)?.[1] ?? '/';
}

/** systemd owns the tree, and marks the subtrees that it delegates (Delegate= in systemd.resource-control(5)). */
function checkDelegated(path: string): void {
  try {
    accessSync(path, accessModes.W_OK);
    accessSync(join(path, 'cgroup.procs'), accessModes.W_OK);
  } catch {
    throw new NoCgroups(`this user may not write to vring's cgroup ${path}: ${HOW}`);
  }
  if (existsSync('/run/systemd/system') && !hasMark(path)) {
    throw new NoCgroups(`systemd has not delegated vring's cgroup ${path}: ${HOW}`);
  }
}

const getxattr = koffi
  .load(null)
  .func('int64_t getxattr(const char *path, const char *name, void *value, size_t size)');

function hasMark(path: string): boolean {
  const value = Buffer.alloc(1);
  return ['trusted.delegate', 'user.delegate'].some(
    name => Number(getxattr(path, name, value, 1)) === 1 && value.toString() === '1',
  );
}

function moveInto(child: string): void {
  if (!existsSync(child)) mkdirSync(child);
  writeFileSync(join(child, 'cgroup.procs'), String(process.pid));
}

/** @returns the controllers that the children have */
function enable(path: string): ReadonlySet<Controller> {
  const words = (file: string) => readFileSync(join(path, file), 'utf8').trim().split(/\s+/);
  const available = words('cgroup.controllers');
  const possible = CONTROLLERS.filter(controller => available.includes(controller));
  const wanted = possible.filter(controller => !words('cgroup.subtree_control').includes(controller));
  if (wanted.length > 0) {
    writeFileSync(join(path, 'cgroup.subtree_control'), wanted.map(controller => `+${controller}`).join(' '));
  }
  return new Set(possible);
}
