import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unregistered, type VmPlace } from '../engine/machines/machine.ts';
import { printable } from '../text/printable.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type FileLock, LockHeldError, lockFile, lockHolder, nameHolderAt } from './file-lock.ts';
import { IN_PROCESS } from './in-process-option.ts';
import { ensurePrivateFolder, type ManagerPaths, managerLock, managerPaths } from './paths.ts';

/**
 * Keeps every other process of this user from running a VM of this name, until it is released or this process ends.
 * @throws naming the process that runs it
 */
export function lockVm(name: string): FileLock {
  if (!VM_NAME.pattern.test(name))
    throw new Error(`"${printable(name)}" cannot be the name of a VM: expected ${VM_NAME.rule}`);
  const { runtime } = managerPaths();
  ensurePrivateFolder(runtime);
  const folder = join(runtime, 'vms');
  ensurePrivateFolder(folder);
  try {
    return lockFile(join(folder, `${name}.lock`), `the VM ${name} is run`);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new Error(`${error.message}; stop it there first, or choose another name`);
  }
}

/** Whether a process runs a VM of this name, as far as the files in the runtime folder say. */
export function isNameLocked(name: string): boolean {
  return lockHolder(join(managerPaths().runtime, 'vms', `${name}.lock`)) !== null;
}

/** Records another process as the holder; it has the lock of this name through the same open file. */
export function renameHolder(name: string, pid: number, what: string): void {
  nameHolderAt(join(managerPaths().runtime, 'vms', `${name}.lock`), pid, what);
}

/** `lockVm` for a VM whose machine ends with this process. */
export function lockName(name: string): VmPlace {
  return unregistered(lockVm(name).release);
}

/** Names whose lock files exist, but whose locks are free. */
export function abandonedLocks(runtime: string): string[] {
  const folder = join(runtime, 'vms');
  return lockedNames(folder).filter(name => lockHolder(join(folder, `${name}.lock`)) === null);
}

/** The VMs that a process runs, by their locks, whatever version of vring it is. */
export function vmsRunBy(pid: number, runtime = managerPaths().runtime): string[] {
  const folder = join(runtime, 'vms');
  const holders = new RegExp(`^process ${pid} of `);
  const runs = (name: string) => {
    try {
      return holders.test(readFileSync(join(folder, `${name}.lock`), 'utf8'));
    } catch {
      return false; // it has just been released
    }
  };
  return lockedNames(folder).filter(runs).sort();
}

function lockedNames(folder: string): string[] {
  try {
    const locks = readdirSync(folder).filter(file => file.endsWith('.lock'));
    return locks.map(file => file.slice(0, -'.lock'.length));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** What a manager holds: its socket's folder, and that of its definitions' state. */
export type Ownership = {
  /** Takes the locks again whose files were removed. @throws LockHeldError when another process has one now */
  renew(): void;
  release(): void;
};

/**
 * Makes this process the only manager of the socket and of the definitions: another manager of the same definitions may
 * use another socket, if its XDG_RUNTIME_DIR differs.
 * @throws LockHeldError naming the holder
 */
export function lockOwnership({
  runtime,
  state,
}: {
  readonly runtime: string;
  readonly state: string;
}): Ownership {
  const lockSocket = () => lockFile(managerLock(runtime), `the runtime folder ${runtime} is held`);
  const lockDefinitions = () => lockFile(managerLock(state), `the state folder ${state} is held`);
  let socket = lockSocket();
  let definitions: FileLock;
  try {
    definitions = lockDefinitions();
  } catch (error) {
    socket.release();
    throw error;
  }
  const isLost = (folder: string) => {
    if (lockHolder(managerLock(folder)) !== null) return false;
    ensurePrivateFolder(folder);
    return true;
  };
  return {
    renew: () => {
      if (isLost(runtime)) socket = replaced(socket, lockSocket);
      if (isLost(state)) definitions = replaced(definitions, lockDefinitions);
    },
    release: () => {
      definitions.release();
      socket.release();
    },
  };
}

function replaced(lost: FileLock, lock: () => FileLock): FileLock {
  const found = lock();
  lost.release();
  return found;
}

/** A process outside the manager that holds these folders; null if there is none. */
export function hostElsewhere({ runtime }: Pick<ManagerPaths, 'runtime'>): string | null {
  const holder = lockHolder(managerLock(runtime));
  return holder?.includes(` ${IN_PROCESS}`) ? holder : null;
}

/** The manager of these definitions in another runtime folder; null if there is none. */
export function managerElsewhere({
  runtime,
  state,
  socket,
}: Pick<ManagerPaths, 'runtime' | 'state' | 'socket'>): string | null {
  // A manager whose folder was cleaned up is still bound to the socket, and creates both again.
  const here = () => lockHolder(managerLock(runtime)) !== null || isBound(socket);
  // A manager that is starting or ending here holds this folder's lock longer than the other one.
  if (here()) return null;
  const holder = lockHolder(managerLock(state));
  return here() ? null : holder;
}

/** Whether any process is bound to a Unix socket at this path, even if the file is gone (proc(5), /proc/net/unix). */
export function isBound(path: string): boolean {
  try {
    return readFileSync('/proc/net/unix', 'utf8').includes(` ${path}\n`);
  } catch {
    return false;
  }
}
