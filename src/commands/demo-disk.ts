import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePrivateFolder, managerPaths } from '../manager/paths.ts';
import { ftruncate, memfdCreate } from '../vmm/native/libc.ts';

/** A zeroed, memory-backed disk of `bytes` that goes away with this process. @returns a path to open it by. */
export function demoDisk(bytes: number): string {
  const fd = memfdCreate('vring-demo-disk');
  ftruncate(fd, bytes);
  return `/proc/self/fd/${fd}`;
}

/** A sparse disk in the state folder, for a guest that outlives this process. @returns its path */
export function keptDemoDisk(bytes: number): string {
  const { state } = managerPaths();
  ensurePrivateFolder(state);
  const path = join(state, 'demo.img');
  const fd = openSync(path, 'a', 0o600);
  try {
    ftruncateSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  return path;
}
