import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;
const CLONE_NEWNS = 0x0002_0000;

/**
 * Puts this process's main thread, and the processes that it starts from here on, into a network of its own, in which there is only `lo`.
 * Each test file has a process of its own, so nothing is left of it. Takes root.
 */
export function enterOwnNetwork(): void {
  unshare(CLONE_NEWNET);
  ip('link', 'set', 'lo', 'up');
}

/** Puts this process's main thread, and the processes that it starts from here on, into a mount namespace of its own. */
export function enterOwnMounts(): void {
  unshare(CLONE_NEWNS);
  execFileSync('mount', ['--make-rprivate', '/']);
}

/** In a mount namespace of its own: what `file` is for processes that are started from here on. */
export function mountOver(file: string, by: string): void {
  execFileSync('mount', ['--bind', by, file]);
}

/** Runs ip(8) in it. @returns what it prints */
export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function unshare(flags: number): void {
  const call = koffi.load(null).func('int unshare(int flags)');
  if (call(flags) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
}
