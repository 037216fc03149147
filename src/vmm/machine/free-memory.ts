import { mallocTrim } from '../native/libc.ts';

/**
 * Returns memory that this process has freed, or no longer refers to, to the host. V8 does so when it is idle, but
 * never notices that it is: the thread sleeps in the native reactor. Needs --expose-gc, and takes a few hundredths of a
 * second.
 */
export function freeMemory(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  mallocTrim();
}
