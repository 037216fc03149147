import { existsSync, readdirSync } from 'node:fs';

export function isOpen(fd: number): boolean {
  return existsSync(`/proc/self/fd/${fd}`);
}

/** How many file descriptors this process has, with the one that lists them. */
export function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}
