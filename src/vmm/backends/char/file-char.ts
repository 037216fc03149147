import type { CharBackend } from '../../../devices/backends/char.ts';
import * as libc from '../../native/libc.ts';

/** Adds bytes to a file. @returns why that failed; null: it did not */
export function append(fd: number, bytes: Uint8Array): string | null {
  try {
    for (let done = 0; done < bytes.length; ) done += libc.write(fd, bytes.subarray(done));
    return null;
  } catch (error) {
    if (error instanceof libc.SystemError) return error.code;
    throw error;
  }
}

/** Output that is added to a file. Of several failures one after the other the user hears once. */
export function fileChar(
  fd: number,
  closeFd: (fd: number) => void,
  failed: (code: string) => void,
): CharBackend {
  const write = appender(fd, failed);
  return { write, onInput: null, close: () => closeFd(fd) };
}

/** Adds bytes to a file, for as long as that works. */
export function appender(fd: number, failed: (code: string) => void): (bytes: Uint8Array) => void {
  let isFailing = false;
  return bytes => {
    const code = append(fd, bytes);
    if (code !== null && !isFailing) failed(code);
    isFailing = code !== null;
  };
}
