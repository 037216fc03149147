import { fstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { SystemError } from '../native/libc.ts';
import { isLockedElsewhere, type LockRange, tryLock } from '../native/ofd-lock.ts';
import { DiskError } from './disk-error.ts';

const COMMAND_LINE_MAX = 60;

const byte = (start: number): LockRange => ({ start, length: 1 });

/**
 * The bytes that QEMU locks for reading (block/file-posix.c): RAW_LOCK_PERM_BASE + n means "I use permission n" and
 * RAW_LOCK_SHARED_BASE + n "no other process may use it", where n is a permission bit: 0 for consistent reads, 1 for
 * writes. After taking one lock, a process checks for the other.
 */
const QEMU = {
  reads: byte(100),
  writes: byte(101),
  keepsReadersOut: byte(200),
  keepsWritersOut: byte(201),
} as const;

/** The byte that libvirt's virtlockd locks with fcntl(2): for writing, or for reading if the disk is shared. */
const VIRTLOCKD = byte(0);

/**
 * Locks a disk for one writer, or for any number of readers, so that QEMU, libvirt and vring don't corrupt each other's
 * disks. Like QEMU, it locks first and checks afterward: if two processes start at the same time, at least one sees the
 * other.
 * @throws DiskError naming the holder
 */
export function lockDisk(fd: number, path: string, readonly: boolean): void {
  if (tryLocks(fd, path, readonly)) return;
  const holder = lockHolder(fd);
  const who = holder === null ? 'another program' : `${holder.who}, which ${holder.use}`;
  const shared = holder?.use === 'reads it' ? '' : ' to both';
  const advice = readonly ? '' : `, or attach the disk read-only${shared}`;
  throw new DiskError(`disk ${path} is in use by ${who}: stop it first${advice}`);
}

function tryLocks(fd: number, path: string, readonly: boolean): boolean {
  const mine = readonly ? [QEMU.reads] : [QEMU.reads, QEMU.writes];
  const others = readonly
    ? [QEMU.keepsReadersOut, QEMU.writes]
    : [QEMU.keepsReadersOut, QEMU.keepsWritersOut, QEMU.writes];
  try {
    return (
      tryLock(fd, readonly ? 'read' : 'write', VIRTLOCKD) &&
      [...mine, QEMU.keepsWritersOut].every(range => tryLock(fd, 'read', range)) &&
      !others.some(range => isLockedElsewhere(fd, range))
    );
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new DiskError(
      `disk ${path} cannot be locked (${error.code}): move it to a file system that supports locks`,
    );
  }
}

type Holder = { readonly who: string; readonly use: 'writes it' | 'reads it' };

/**
 * The process that holds a lock on the same file, if this user may see it. The kernel names no process for open file
 * description locks, but lists them with the descriptor (proc(5), fdinfo). Prefers a writer.
 */
function lockHolder(own: number): Holder | null {
  const disk = fstatSync(own, { bigint: true });
  const inode = new RegExp(`^lock:\\s.*:${disk.ino} .*$`, 'gm');
  let reader: Holder | null = null;
  for (const pid of numbersIn('/proc')) {
    for (const fd of numbersIn(`/proc/${pid}/fdinfo`)) {
      if (Number(pid) === process.pid && Number(fd) === own) continue;
      // Most fds of a busy host are sockets and the like: `socket:[1234]`.
      if (!linkOf(`/proc/${pid}/fd/${fd}`).startsWith('/')) continue;
      const locks = readIfThere(`/proc/${pid}/fdinfo/${fd}`).match(inode);
      if (locks === null || !isSameFile(`/proc/${pid}/fd/${fd}`, disk)) continue;
      const who =
        Number(pid) === process.pid ? 'another VM of this manager' : `"${commandLine(pid)}" (process ${pid})`;
      if (locks.some(isWriters)) return { who, use: 'writes it' };
      reader ??= { who, use: 'reads it' };
    }
  }
  return reader;
}

/**
 * `lock: 1: OFDLCK ADVISORY READ -1 08:01:1234 100 101`: the lock that QEMU or vring takes to write, or any write lock.
 */
function isWriters(lock: string): boolean {
  const [, kind, first, last] = / (READ|WRITE) \S+ \S+ (\d+) (\S+)$/.exec(lock) ?? [];
  const at = QEMU.writes.start;
  return kind === 'WRITE' || (Number(first) <= at && (last === 'EOF' || Number(last) >= at));
}

/** Compares the device too: inode numbers are only unique within a file system. */
function isSameFile(path: string, { dev, ino }: { readonly dev: bigint; readonly ino: bigint }): boolean {
  try {
    const there = statSync(path, { bigint: true });
    return there.dev === dev && there.ino === ino;
  } catch {
    return false;
  }
}

/** The start of the command line. The name of the main thread is less useful: it is the same for every Node program. */
function commandLine(pid: string): string {
  const text = readIfThere(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  return text.length > COMMAND_LINE_MAX ? `${text.slice(0, COMMAND_LINE_MAX)}...` : text;
}

/** Empty for another user's process, and for one that has just exited. */
function numbersIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
