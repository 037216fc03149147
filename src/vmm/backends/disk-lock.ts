import { readdirSync, readFileSync, statSync } from 'node:fs';
import { SystemError } from '../native/libc.ts';
import { tryLock } from '../native/ofd-lock.ts';
import { DiskError } from './open-disk.ts';

const COMMAND_LINE_MAX = 60;

/**
 * Locks the whole of a disk: for one writer, or for any number of readers. QEMU locks its images the same way, so that the
 * two keep out of each other's. @throws DiskError saying who has it.
 */
export function lockDisk(fd: number, path: string, readonly: boolean): void {
  let locked: boolean;
  try {
    locked = tryLock(fd, readonly ? 'read' : 'write');
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new DiskError(`disk ${path} cannot be locked: ${error.code}; its file system has to support locks`);
  }
  if (locked) return;
  const advice = readonly ? 'stop that first' : 'stop that first, or attach the disk read-only to both';
  throw new DiskError(`disk ${path} is in use by ${lockHolder(path) ?? 'another program'}: ${advice}`);
}

/** The process with a lock on the file at `path`, as far as this user may look. */
function lockHolder(path: string): string | null {
  const { ino } = statSync(path, { bigint: true });
  const held = new RegExp(`^lock:.*:${ino} `, 'm');
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    if (!holdsLock(pid, held)) continue;
    if (Number(pid) === process.pid) return 'another VM of this vring';
    return `"${commandLine(pid)}" (process ${pid})`;
  }
  return null;
}

/** Its beginning. The name of the process's first thread would tell less: every Node program's is the same. */
function commandLine(pid: string): string {
  const text = readIfThere(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  return text.length > COMMAND_LINE_MAX ? `${text.slice(0, COMMAND_LINE_MAX)}...` : text;
}

function holdsLock(pid: string, held: RegExp): boolean {
  try {
    const folder = `/proc/${pid}/fdinfo`;
    return readdirSync(folder).some(fd => held.test(readIfThere(`${folder}/${fd}`)));
  } catch {
    return false; // another user's process, or one that has just ended
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
