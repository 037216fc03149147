import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { userName } from '../engine/this-terminal.ts';
import { printable } from '../text/printable.ts';
import { isLockedElsewhere, tryLock } from '../vmm/native/ofd-lock.ts';

const HOLDER_MAX = 200;
const CHOOSE_ANOTHER = 'choose other folders with VRING_RUNTIME_DIR and VRING_STATE_DIR';
const NOT_A_FILE = 'it is not a regular file: remove it';

/** A lock file that names the process holding the lock. */
export type FileLock = {
  /** Every process with a duplicate of it holds the lock, too. */
  readonly fd: number;
  /** Records another process as the holder, before it takes over the lock. */
  nameHolder(pid: number, what: string): void;
  release(): void;
};

export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
}

/**
 * Takes the lock at `path`; it is released when this process ends for any reason.
 * @param what the lock protects, for the error
 * @throws LockHeldError naming the holder; a plain error naming the file if it cannot be opened
 */
export function lockFile(path: string, what: string): FileLock {
  for (;;) {
    const fd = openLockFile(path);
    if (!tryLock(fd, 'write')) {
      closeSync(fd);
      throw new LockHeldError(`${what} by ${holderOf(path)}`);
    }
    // The previous holder may have removed the file between our open and our lock.
    if (isAt(fd, path)) {
      nameHolder(fd, process.pid, commandLine());
      return {
        fd,
        nameHolder: (pid, what) => nameHolder(fd, pid, what),
        release: () => release(fd, path),
      };
    }
    closeSync(fd);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a directory: remove it',
  ELOOP: 'it is a symbolic link: remove it',
  ENXIO: NOT_A_FILE,
  EACCES: `permission denied: ${CHOOSE_ANOTHER}`,
  EROFS: `the file system is read-only: ${CHOOSE_ANOTHER}`,
  ENOSPC: 'the disk is full: free some space',
};

function openLockFile(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new Error(`cannot open the lock file ${path}: ${REASONS[code] ?? message}`, { cause: error });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`cannot open the lock file ${path}: ${NOT_A_FILE}`);
}

/** The holder of the lock at `path`; null if it is free or cannot be read. */
export function lockHolder(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    return isLockedElsewhere(fd, { start: 0, length: 0 }) ? holderOf(path) : null;
  } finally {
    closeSync(fd);
  }
}

function release(fd: number, path: string): void {
  try {
    if (isAt(fd, path)) unlinkSync(path);
  } finally {
    closeSync(fd);
  }
}

function isAt(fd: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false, bigint: true });
  const { ino, dev } = fstatSync(fd, { bigint: true });
  return there?.ino === ino && there.dev === dev;
}

/** Records another process as the holder of the lock at `path`, which this process does not have open. */
export function nameHolderAt(path: string, pid: number, what: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  } catch {
    return; // it was removed
  }
  nameHolder(fd, pid, what);
  closeSync(fd);
}

function nameHolder(fd: number, pid: number, what: string): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `process ${pid} of ${userName()}: ${what}\n`, 0);
  } catch {
    // The disk is full: the file is locked, but does not name the holder.
  }
}

function holderOf(path: string): string {
  try {
    const text = printable(readFileSync(path, 'utf8').trim()).slice(0, HOLDER_MAX);
    if (text !== '') return text;
  } catch {
    // It has just been released.
  }
  return 'another process';
}

function commandLine(): string {
  return printable(['vring', ...process.argv.slice(2)].join(' ')).slice(0, HOLDER_MAX / 2);
}
