import { existsSync } from 'node:fs';

export function isOpen(fd: number): boolean {
  return existsSync(`/proc/self/fd/${fd}`);
}
