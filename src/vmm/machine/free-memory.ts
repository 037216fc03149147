import { mallocTrim } from '../native/libc.ts';

/**
 * Returns to the host what this process has freed, or no longer refers to. V8 does so when it is idle, but it never finds out: the
 * thread sleeps in the native reactor. Needs --expose-gc, and takes a few hundredths of a second.
 */
export function freeMemory(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  mallocTrim();
}
