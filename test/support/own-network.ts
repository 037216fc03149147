import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;
const CLONE_NEWNS = 0x0002_0000;

/**
 * Moves this process's main thread, and the processes that it starts from now on, to a network namespace with only
 * `lo`. Each test file has its own process, so nothing is left behind. Requires root.
 */
export function enterOwnNetwork(): void {
  unshare(CLONE_NEWNET);
  ip('link', 'set', 'lo', 'up');
}

/** Moves this process's main thread, and the processes that it starts from now on, to a separate mount namespace. */
export function enterOwnMounts(): void {
  unshare(CLONE_NEWNS);
  execFileSync('mount', ['--make-rprivate', '/']);
}

/** In such a mount namespace, replaces `file` for processes that are started from now on. */
export function mountOver(file: string, by: string): void {
  execFileSync('mount', ['--bind', by, file]);
}

/** Runs ip(8) in it. @returns its output */
export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function unshare(flags: number): void {
  const call = koffi.load(null).func('int unshare(int flags)');
  if (call(flags) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
}
