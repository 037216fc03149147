import { constants } from 'node:os';
import { Struct } from '../kvm/c-struct.ts';
import { fcntl, SystemError } from './libc.ts';

/** fcntl(2), from asm-generic/fcntl.h. An OFD lock belongs to the open file: it is released when the fd closes. */
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** struct flock with 64-bit offsets. */
const flock = new Struct('flock', {
  l_type: 'u16',
  l_whence: 'u16',
  l_start: 's64',
  l_len: 's64',
  l_pid: 's32',
});

/** Bytes of a file; `length` 0 extends to its end, even as the file grows. */
export type LockRange = { readonly start: number; readonly length: number };
const WHOLE: LockRange = { start: 0, length: 0 };

/**
 * Locks bytes of an open file: for one writer, or for any number of readers.
 * @returns false if another open file has a conflicting lock. @throws SystemError if the file cannot be locked
 */
export function tryLock(fd: number, kind: 'read' | 'write', range: LockRange = WHOLE): boolean {
  try {
    fcntl(fd, 'F_OFD_SETLK', F_OFD_SETLK, encode(kind, range));
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno === constants.errno.EAGAIN || error.errno === constants.errno.EACCES) return false;
    throw error;
  }
}

/** Releases all locks of an open file. @throws SystemError */
export function unlock(fd: number): void {
  fcntl(fd, 'F_OFD_SETLK', F_OFD_SETLK, encode('none', WHOLE));
}

/** Whether another open file has any lock, for reading or writing, on these bytes. @throws SystemError */
export function isLockedElsewhere(fd: number, range: LockRange): boolean {
  const lock = encode('write', range);
  fcntl(fd, 'F_OFD_GETLK', F_OFD_GETLK, lock);
  return flock.read(lock).l_type !== F_UNLCK;
}

const TYPES = { read: F_RDLCK, write: F_WRLCK, none: F_UNLCK } as const;

function encode(kind: keyof typeof TYPES, { start, length }: LockRange): Uint8Array {
  return flock.encode({
    l_type: TYPES[kind],
    l_whence: 0,
    l_start: BigInt(start),
    l_len: BigInt(length),
    l_pid: 0,
  });
}
