import { randomBytes } from 'node:crypto';
import { closeSync, rmSync } from 'node:fs';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { Succession, VmPlace } from '../../engine/machines/machine.ts';
import { currentBootId, startTicksOf } from '../../host/process-identity.ts';
import { explainShortage } from '../../vmm/confinement/shortage.ts';
import { counterShape } from '../../vmm/counters/counter-shape.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { ensurePrivateFolder, type ManagerPaths, managerPaths } from '../paths.ts';
import { abandonedLocks, lockVm, renameHolder } from '../vm-lock.ts';
import {
  knownRecord,
  leftovers,
  type MachineRecord,
  promoted,
  readRecord,
  readRecords,
  removeRecord,
  removeUnfinished,
  socketOf,
  withoutSuccessor,
  writeRecord,
} from './machine-record.ts';
import { boundSocket, renewPlace } from './renew-place.ts';
import { freeUid, type UidRange } from './uids.ts';

/** Removes the leftovers of an earlier manager's machine that is gone. */
export function leavePlace(folder: string, id: string, name: string): void {
  removeRecord(folder, id);
  releaseName(name);
}

/** Removes the lock file, unless the lock is held. */
function releaseName(name: string): void {
  try {
    lockVm(name).release();
  } catch {
    // The holder owns it.
  }
}

/** Removes the leftovers of machines that are gone. Called by the runtime folder's only manager at its start. */
export function sweepPlaces({ runtime, machines }: Pick<ManagerPaths, 'runtime' | 'machines'>): void {
  for (const { id, name } of leftovers(machines)) {
    if (name === null) removeRecord(machines, id);
    else leavePlace(machines, id, name);
  }
  removeUnfinished(machines);
  // A manager that was killed while it took a name left a lock, but no record.
  for (const name of abandonedLocks(runtime)) releaseName(name);
}

/** @param uids for the machines of root's manager */
export function placesWith(uids: UidRange): (name: string) => VmPlace {
  return name => withRoom(() => takePlace(name, process.geteuid!() === 0 ? uids : null));
}

/** Adds what to do to the error of a runtime folder that is full. */
function withRoom<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { runtime } = managerPaths();
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new Error(`the runtime folder ${runtime} is full: free some space there, and try again`);
    if (code === 'EROFS')
      throw new Error(`the runtime folder ${runtime} is read-only: set VRING_RUNTIME_DIR to another one`);
    throw explainShortage(error);
  }
}

/**
 * Takes a VM's name and prepares what later managers need to find its machine: a socket for it to listen on, and a
 * record once its process is known.
 * @throws naming the process that runs a VM of this name, or the problem with the runtime folder
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
    listener = boundSocket(socketOf(machines, id));
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
          const counters = counterShape(config);
          withRoom(() => writeRecord(machines, id, { version: 1, ...identity, counters, config }));
          lock.nameHolder(pid, `vring: ${name}`);
        },
      },
      handedOver: closeListener,
      succeed: () => withRoom(() => succession(machines, id)),
      follow: (config, pending) => followDevices(machines, id, config, pending),
      renew: () => withRoom(() => renewPlace(machines, id)),
      release: () => {
        closeListener();
        removeRecord(machines, id);
        lock.release();
        // The place may have been renewed: the machine had another lock, which has ended with it.
        releaseName(name);
      },
    };
  } catch (error) {
    if (listener !== null) closeSync(listener);
    removeRecord(machines, id);
    lock.release();
    throw error;
  }
}

/**
 * The place of the process that a machine is handed to, beside that of its present process.
 * @throws when the machine has no record, or the runtime folder is full
 */
export function succession(folder: string, id: string): Succession {
  const present = knownRecord(folder, id);
  if (present === null) throw new Error('its record is gone: shut it down and start it again');
  const token = randomBytes(16).toString('hex');
  const slot = 1 - (present.slot ?? 0);
  const path = socketOf(folder, id, slot);
  const listener = boundSocket(path);
  let isOpen = true;
  const closeListener = () => {
    if (isOpen) closeSync(listener);
    isOpen = false;
  };
  return {
    registration: {
      token,
      uid: present.uid,
      listener,
      started: (pid, { config }) => {
        const counters = counterShape(config);
        const successor = { pid, startTime: startTicksOf(pid) ?? 0, token, slot, counters };
        const now = knownRecord(folder, id) ?? present;
        withRoom(() => writeRecord(folder, id, { ...withoutSuccessor(now), successor }));
      },
    },
    handedOver: closeListener,
    settle: taken => {
      closeListener();
      settleSuccession(folder, id, taken);
    },
  };
}

/**
 * Records the devices of a machine, which have changed or are about to.
 * @param pending devices being plugged in. @throws when the runtime folder is full
 */
export function followDevices(
  folder: string,
  id: string,
  config: MachineConfig,
  pending: readonly DeviceConfig[],
): void {
  const found = knownRecord(folder, id);
  if (found === null) return;
  const changed =
    found.changed === true || JSON.stringify(config.devices) !== JSON.stringify(found.config.devices);
  withRoom(() => writeRecord(folder, id, { ...found, config, changed, pending: [...pending] }));
}

/** Completes a hand-over during which a manager died. @param running the process that remains */
export function tidyPlace(folder: string, id: string, running: MachineRecord): void {
  const { successor } = readRecord(folder, id) ?? {};
  if (successor !== undefined) settleSuccession(folder, id, running.pid === successor.pid);
  else rmSync(socketOf(folder, id, 1 - (running.slot ?? 0)), { force: true });
}

/** Reduces a record with two processes to the one that remains. @param taken whether it is the successor */
export function settleSuccession(folder: string, id: string, taken: boolean): void {
  const found = knownRecord(folder, id);
  if (found === null) {
    // The VM has ended in the meantime.
    removeRecord(folder, id);
    return;
  }
  if (found.successor === undefined) {
    // There was no room to record it.
    rmSync(socketOf(folder, id, 1 - (found.slot ?? 0)), { force: true });
    return;
  }
  const left = taken ? promoted(found) : withoutSuccessor(found);
  try {
    writeRecord(folder, id, left);
    rmSync(socketOf(folder, id, 1 - (left.slot ?? 0)), { force: true });
  } catch {
    // The disk is full. A record with both is sufficient: the process that runs has the machine.
  }
  if (taken) renameHolder(left.name, left.pid, `vring: ${left.name}`);
}

function uidsIn(folder: string): Set<number> {
  return new Set(readRecords(folder, () => {}).flatMap(({ record }) => record.uid ?? []));
}
