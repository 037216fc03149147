import { randomBytes } from 'node:crypto';
import { closeSync, rmSync } from 'node:fs';
import type { VmPlace } from '../../engine/machines/machine.ts';
import { currentBootId, startTicksOf } from '../../host/process-identity.ts';
import { explainShortage } from '../../vmm/confinement/shortage.ts';
import { AF_UNIX, bind, SOCK_STREAM, socket } from '../../vmm/native/libc.ts';
import { unixAddress } from '../../vmm/native/unix-socket.ts';
import { ensurePrivateFolder, type ManagerPaths, managerPaths } from '../paths.ts';
import { abandonedLocks, lockVm } from '../vm-lock.ts';
import {
  leftovers,
  readRecords,
  removeRecord,
  removeUnfinished,
  socketOf,
  writeRecord,
} from './machine-record.ts';
import { freeUid, type UidRange } from './uids.ts';

/** Removes what is left of the place of a machine of an earlier manager, once it is gone. */
export function leavePlace(folder: string, id: string, name: string): void {
  removeRecord(folder, id);
  releaseName(name);
}

/** Removes the lock's file, unless somebody has the lock. */
function releaseName(name: string): void {
  try {
    lockVm(name).release();
  } catch {
    // It is theirs.
  }
}

/** For the one manager of the runtime folder, as it starts: removes what is left of machines that are gone. */
export function sweepPlaces({ runtime, machines }: Pick<ManagerPaths, 'runtime' | 'machines'>): void {
  for (const { id, name } of leftovers(machines)) {
    if (name === null) removeRecord(machines, id);
    else leavePlace(machines, id, name);
  }
  removeUnfinished(machines);
  // A manager that was killed while it took a name has not left a record.
  for (const name of abandonedLocks(runtime)) releaseName(name);
}

/** @param uids for the machines of a manager of root */
export function placesWith(uids: UidRange): (name: string) => VmPlace {
  return name => withRoom(() => takePlace(name, process.geteuid!() === 0 ? uids : null));
}

/** Says what to do about a runtime folder that takes no more. */
function withRoom<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { runtime } = managerPaths();
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new Error(`the runtime folder ${runtime} is full: free some space there, and start the VM again`);
    if (code === 'EROFS')
      throw new Error(`the runtime folder ${runtime} is read-only: set VRING_RUNTIME_DIR to another one`);
    throw explainShortage(error);
  }
}

/**
 * Takes a VM's name and prepares what later managers find its machine by: a socket for it to listen on, and a record once its process is known.
 * @throws saying who runs a VM of this name, or what the runtime folder lacks
 */
function takePlace(name: string, uids: UidRange): VmPlace {
  const { machines } = managerPaths();
  const lock = lockVm(name);
  const id = randomBytes(4).toString('hex');
  const token = randomBytes(16).toString('hex');
  let listener: number | null = null;
  try {
    ensurePrivateFolder(machines);
    const uid = uids && freeUid(uids, uidsIn(machines));
    listener = bound(socketOf(machines, id));
    const open = listener;
    let isOpen = true;
    const closeListener = () => {
      if (isOpen) closeSync(open);
      isOpen = false;
    };
    return {
      registration: {
        token,
        uid,
        listener,
        lock: lock.fd,
        started: (pid, { config, startedAt }) => {
          const startTime = startTicksOf(pid) ?? 0;
          const identity = { name, pid, startTime, bootId: currentBootId(), token, startedAt, uid };
          withRoom(() => writeRecord(machines, id, { version: 1, ...identity, config }));
          lock.nameHolder(pid, `vring: ${name}`);
        },
      },
      handedOver: closeListener,
      release: () => {
        closeListener();
        removeRecord(machines, id);
        lock.release();
      },
    };
  } catch (error) {
    if (listener !== null) closeSync(listener);
    removeRecord(machines, id);
    lock.release();
    throw error;
  }
}

function uidsIn(folder: string): Set<number> {
  return new Set(readRecords(folder, () => {}).flatMap(({ record }) => record.uid ?? []));
}

function bound(path: string): number {
  const fd = socket(AF_UNIX, SOCK_STREAM);
  try {
    rmSync(path, { force: true });
    bind(fd, path, unixAddress(path));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
