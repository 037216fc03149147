import { closeSync, existsSync, rmSync } from 'node:fs';
import type { Renewal } from '../../engine/machines/machine.ts';
import { BACKLOG } from '../../vmm/machine/manager-link.ts';
import { AF_UNIX, bind, listen, SOCK_STREAM, setNonblocking, socket } from '../../vmm/native/libc.ts';
import { unixAddress } from '../../vmm/native/unix-socket.ts';
import { ensurePrivateFolder, managerPaths } from '../paths.ts';
import { isNameLocked, lockVm } from '../vm-lock.ts';
import { knownRecord, readRecord, socketOf, writeRecord } from './machine-record.ts';

/** A socket with a file at `path`, replacing one that is there. */
export function boundSocket(path: string): number {
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

/**
 * Creates again what was removed of a machine's place, such as by a clean-up of /tmp, or with the last session of its
 * user: without its record and its socket, the next manager would not find the machine, and without the lock of its
 * name, it would start the VM a second time.
 * @returns null if nothing is missing
 */
export function renewPlace(folder: string, id: string): Renewal | null {
  const record = knownRecord(folder, id);
  // While it is handed over, another socket is about to take the place of this one.
  if (record === null || record.successor !== undefined) return null;
  const path = socketOf(folder, id, record.slot);
  const isRecorded = readRecord(folder, id) !== null;
  const isLocked = isNameLocked(record.name);
  if (existsSync(path) && isLocked) {
    if (isRecorded) return null;
    writeRecord(folder, id, record);
    return { fds: [], lock: false, settle: () => {} };
  }
  ensurePrivateFolder(managerPaths().runtime);
  ensurePrivateFolder(folder);
  const lock = isLocked ? null : lockVm(record.name);
  let listener: number | null = null;
  try {
    listener = boundSocket(path);
    setNonblocking(listener);
    // A confined machine may not.
    listen(listener, BACKLOG);
    writeRecord(folder, id, { ...record, listener: process.pid });
  } catch (error) {
    if (listener !== null) closeSync(listener);
    lock?.release();
    throw error;
  }
  const fds = [listener, ...(lock === null ? [] : [lock.fd])];
  return {
    fds,
    lock: lock !== null,
    settle: taken => {
      closeSync(fds[0]!);
      if (!taken) {
        rmSync(path, { force: true });
        lock?.release();
        return;
      }
      lock?.nameHolder(record.pid, `vring: ${record.name}`);
      // The machine holds it.
      if (lock !== null) closeSync(lock.fd);
    },
  };
}
