import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;

/**
 * Puts this process's main thread, and the processes that it starts from here on, into a network of its own, in which there is only `lo`.
 * Each test file has a process of its own, so nothing is left of it. Takes root.
 */
export function enterOwnNetwork(): void {
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  ip('link', 'set', 'lo', 'up');
}

/** Runs ip(8) in it. @returns what it prints */
export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}
