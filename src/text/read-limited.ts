import { closeSync, openSync, readSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { sizeText } from './size.ts';

/** How long to wait if the input is a non-blocking terminal or pipe with no data yet. */
const RETRY_MS = 10;

/**
 * Reads a text from the user, which may be an endless pipe.
 * @param source a path, or 0 for stdin
 * @param what its name in errors
 * @param most maximum length in bytes
 * @throws an error for the user if it can't be read or is longer
 */
export function readLimited(source: string | 0, what: string, most: number): string {
  const buffer = Buffer.alloc(most + 1);
  let length = 0;
  try {
    const fd = source === 0 ? 0 : openSync(source, 'r');
    try {
      while (length < buffer.length) {
        const count = readSome(fd, buffer.subarray(length));
        if (count === 0) break;
        length += count;
      }
    } finally {
      if (fd !== 0) closeSync(fd);
    }
  } catch (error) {
    const { errno, message } = error as NodeJS.ErrnoException;
    throw new Error(`${what} can't be read: ${errno === undefined ? message : getSystemErrorMessage(errno)}`);
  }
  if (length > most)
    throw new Error(`${what} is longer than ${sizeText(most)}, or has no end: give the right file`);
  return buffer.toString('utf8', 0, length);
}

function readSome(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into, 0, into.length, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
