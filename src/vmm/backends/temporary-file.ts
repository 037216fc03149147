import { closeSync, openSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomHex } from '../../text/random-hex.ts';
import { DiskError } from './disk-error.ts';

/** As in QEMU: temporary images may be large, and /tmp is often in memory. */
const FOLDER = '/var/tmp';

/**
 * Creates an unnamed file in /var/tmp or TMPDIR, which is gone with its last fd, and fills it.
 * @param what needs the file, as the start of an error: `disk web.img is transient, and a file for its writes`
 * @param fill closes nothing; the file is closed if it throws
 * @throws DiskError
 */
export function openTemporary(what: string, fill: (fd: number) => void): number {
  const file = join(folder(), `vring-${randomHex(8)}`);
  let fd: number | null = null;
  try {
    fd = openSync(file, 'wx+', 0o600);
    unlinkSync(file);
    fill(fd);
    return fd;
  } catch (error) {
    if (fd !== null) closeSync(fd);
    throw temporaryError(what, error);
  }
}

/** A failure to create or write such a file. */
export function temporaryError(what: string, error: unknown): DiskError {
  if (error instanceof DiskError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new DiskError(
    `${what} cannot be created in ${folder()} (${code}): set TMPDIR to a folder with room`,
  );
}

function folder(): string {
  return process.env.TMPDIR === undefined ? FOLDER : tmpdir();
}
