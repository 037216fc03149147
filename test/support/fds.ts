import { existsSync, readdirSync } from 'node:fs';

export function isOpen(fd: number): boolean {
  return existsSync(`/proc/self/fd/${fd}`);
}

/** The number of this process's file descriptors, including the one that lists them. */
export function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}
