import { constants } from 'node:os';
import { Struct } from '../kvm/c-struct.ts';
import { fcntl, SystemError } from './libc.ts';

/** fcntl(2), from asm-generic/fcntl.h. An OFD lock belongs to the open file: it goes when the fd closes. */
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;

/** struct flock with 64-bit offsets. */
const flock = new Struct('flock', {
  l_type: 'u16',
  l_whence: 'u16',
  l_start: 's64',
  l_len: 's64',
  l_pid: 's32',
});

/**
 * Locks the whole of an open file: for one writer, or for any number of readers.
 * @returns false when somebody else has it. @throws SystemError when the file can't be locked
 */
export function tryLock(fd: number, kind: 'read' | 'write'): boolean {
  const type = kind === 'read' ? F_RDLCK : F_WRLCK;
  const lock = { l_type: type, l_whence: 0, l_start: 0n, l_len: 0n, l_pid: 0 };
  try {
    fcntl(fd, 'F_OFD_SETLK', F_OFD_SETLK, flock.encode(lock));
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno === constants.errno.EAGAIN || error.errno === constants.errno.EACCES) return false;
    throw error;
  }
}
