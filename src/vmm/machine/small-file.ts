import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';

/** Opens a file to read all of it. The caller owns the fd. @throws an error for the user */
export function openSmallFile(path: string): number {
  try {
    // Non-blocking: opening a named pipe without a writer would block the thread forever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { errno, message } = error as NodeJS.ErrnoException;
    throw new Error(`cannot open ${path}: ${errno === undefined ? message : getSystemErrorMessage(errno)}`);
  }
}

/** Reads a whole file of at most `limit` bytes. @throws an error for the user */
export function readSmallFile(path: string, limit: number): Uint8Array {
  const fd = openSmallFile(path);
  try {
    return readOpenFile(fd, path, limit);
  } finally {
    closeSync(fd);
  }
}

/** Same, for an open file. @param path for messages */
export function readOpenFile(fd: number, path: string, limit: number): Uint8Array {
  const status = fstatSync(fd);
  if (!status.isFile()) throw new Error(`${path} is not a regular file: give the path of one`);
  if (status.size > limit)
    throw new Error(`${path} has ${status.size} bytes, and at most ${limit} are allowed`);
  const bytes = new Uint8Array(status.size);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
