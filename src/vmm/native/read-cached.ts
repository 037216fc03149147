import { nativeCalls } from './native-library.ts';

/**
 * Fills `bytes` from a file at `offset` from the host's page cache, without waiting.
 * @returns whether all of it was there
 */
export function readCached(fd: number, bytes: Uint8Array, offset: number): boolean {
  return nativeCalls().vring_read_cached(fd, bytes, bytes.length, offset) === bytes.length;
}
