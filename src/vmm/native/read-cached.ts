import { nativeCalls } from './native-library.ts';

/** Fills `bytes` from a file at `offset` with what the host has in its page cache, without waiting. @returns whether it had all of it */
export function readCached(fd: number, bytes: Uint8Array, offset: number): boolean {
  return nativeCalls().vring_read_cached(fd, bytes, bytes.length, offset) === bytes.length;
}
