import type { CharBackend } from '../../../devices/backends/char.ts';
import * as libc from '../../native/libc.ts';

/** Appends bytes to a file. @returns the error code; null if it succeeded */
export function append(fd: number, bytes: Uint8Array): string | null {
  try {
    for (let done = 0; done < bytes.length; ) done += libc.write(fd, bytes.subarray(done));
    return null;
  } catch (error) {
    if (error instanceof libc.SystemError) return error.code;
    throw error;
  }
}

/** Output that is appended to a file. Of consecutive failures, only the first is reported to the user. */
export function fileChar(
  fd: number,
  closeFd: (fd: number) => void,
  failed: (code: string) => void,
): CharBackend {
  const write = appender(fd, failed);
  return { write, onInput: null, close: () => closeFd(fd) };
}

/** Returns a function that appends bytes to a file, and reports only the first of consecutive failures. */
export function appender(fd: number, failed: (code: string) => void): (bytes: Uint8Array) => void {
  let isFailing = false;
  return bytes => {
    const code = append(fd, bytes);
    if (code !== null && !isFailing) failed(code);
    isFailing = code !== null;
  };
}
