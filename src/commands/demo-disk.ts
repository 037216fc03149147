import { ftruncate, memfdCreate } from '../vmm/libc.ts';

/** A zeroed disk of `bytes` that is nowhere but in memory, and gone with this process. @returns a path to open it by. */
export function createDemoDisk(bytes: number): string {
  const fd = memfdCreate('vring-demo-disk');
  ftruncate(fd, bytes);
  return `/proc/self/fd/${fd}`;
}
