import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { sizeText } from './size.ts';

/** How long to wait if the input is a non-blocking terminal or pipe with no data yet. */
const RETRY_MS = 10;

/** How long a named pipe or a device may be silent: there may never be a writer. */
const SILENCE_MS = 10_000;

/**
 * Reads a text from a user, possibly from an endless pipe. A pipe given by its path, such as a shell's `<(command)`,
 * must have data within 10 seconds, and again after each part.
 * @param source a path, or 0 for stdin
 * @param what its name in errors
 * @param most bytes accepted
 * @throws with a sentence when it cannot be read, is silent, or is longer
 */
export function readLimited(source: string | 0, what: string, most: number, silenceMs = SILENCE_MS): string {
  const buffer = Buffer.alloc(most + 1);
  let length = 0;
  try {
    // Without O_NONBLOCK, the open of a named pipe waits for a writer.
    const fd = source === 0 ? 0 : openSync(source, constants.O_RDONLY | constants.O_NONBLOCK);
    const read = source === 0 ? (into: Uint8Array) => readSome(fd, into) : pathReader(fd, silenceMs);
    try {
      while (length < buffer.length) {
        const count = read(buffer.subarray(length));
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

/** @throws when it neither has data within this time, nor ends */
function pathReader(fd: number, silenceMs: number): (into: Uint8Array) => number {
  const isPipe = fstatSync(fd).isFIFO();
  /** A pipe also reads as ended until the first process opens it for writing. */
  let hadWriter = !isPipe;
  return into => {
    const deadline = performance.now() + silenceMs;
    while (performance.now() < deadline) {
      const count = tryRead(fd, into);
      hadWriter ||= count !== 0;
      if (count !== null && hadWriter) return count;
      pause();
    }
    throw new Error(`nothing has been written to it for ${silenceMs / 1000} s: give a file, or write to it`);
  };
}

function readSome(fd: number, into: Uint8Array): number {
  for (;;) {
    const count = tryRead(fd, into);
    if (count !== null) return count;
    pause();
  }
}

/** Null if there is no data yet. */
function tryRead(fd: number, into: Uint8Array): number | null {
  try {
    return readSync(fd, into, 0, into.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return null;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
}
