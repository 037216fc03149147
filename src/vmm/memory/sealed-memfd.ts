import * as libc from '../native/libc.ts';

/** If a file shrank under its mapping, the process would end with SIGBUS. */
const SEALS = libc.F_SEAL_SHRINK | libc.F_SEAL_GROW;

/** A memfd whose size never changes. `name` shows in /proc/PID/maps. @param flags for huge pages. @returns the fd */
export function sealedMemfd(name: string, bytes: number, flags = 0): number {
  const fd = libc.memfdCreate(name, libc.MFD_ALLOW_SEALING | flags);
  try {
    libc.ftruncate(fd, bytes);
    libc.fcntl(fd, 'F_ADD_SEALS', libc.F_ADD_SEALS, SEALS);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

export function isSealed(fd: number): boolean {
  return (libc.fcntl(fd, 'F_GET_SEALS', libc.F_GET_SEALS) & SEALS) === SEALS;
}
