import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../text/printable.ts';
import { MAX_BYTES } from './yaml-text.ts';

const EXTENSION = '.yaml';

/** A definition file or folder that cannot be used; the message says which, why, and what to do. */
export class DefinitionFileError extends Error {
  override readonly name = 'DefinitionFileError';
}

/** Names of the definitions in a folder, sorted; none if the folder does not exist. @throws DefinitionFileError */
export function listNames(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder)
      .filter(file => file.endsWith(EXTENSION) && !file.startsWith('.'))
      .map(file => file.slice(0, -EXTENSION.length))
      .sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new DefinitionFileError(`the definitions in ${folder} cannot be read: ${reason(error, folder)}`);
  }
}

export function fileOf(folder: string, name: string): string {
  return path.join(folder, `${name}${EXTENSION}`);
}

/** Where the previous file is kept. */
export function backupOf(file: string): string {
  return `${file}~`;
}

/** Changes whenever the file is written or replaced; null if it does not exist. */
export function stampOf(file: string): string | null {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return null;
  }
}

/** The bytes of a definition, up to one more than the limit. @throws DefinitionFileError */
export function readFile(folder: string, name: string): Buffer {
  const file = fileOf(folder, name);
  try {
    refuseLinkOut(folder, file);
    // Opening a FIFO would otherwise block until another process opens it for writing.
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      if (!fs.fstatSync(fd).isFile())
        throw new DefinitionFileError(`${file} is not a regular file: move it away`);
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      return buffer.subarray(0, readAll(fd, buffer));
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (error instanceof DefinitionFileError) throw error;
    if (codeOf(error) === 'ENOENT') throw new DefinitionFileError(missing(name, file));
    throw new DefinitionFileError(`${file} cannot be read: ${reason(error, folder)}`);
  }
}

/** A link to nowhere is listed like a file. */
function missing(name: string, file: string): string {
  try {
    return `${file} is a link to ${printable(fs.readlinkSync(file))}, which does not exist: remove it, or replace it with the file itself`;
  } catch {
    return `there is no definition of ${name}: ${file} does not exist`;
  }
}

function readAll(fd: number, buffer: Buffer): number {
  let length = 0;
  while (length < buffer.length) {
    const count = fs.readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/** A definition decides what root opens and runs, so links that lead out of the folder are not followed. */
export function refuseLinkOut(folder: string, file: string): void {
  const real = fs.realpathSync(file);
  if (path.dirname(real) === fs.realpathSync(folder)) return;
  throw new DefinitionFileError(
    `${file} is a link to ${real}, outside its folder: replace it with the file itself`,
  );
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Why a file or folder cannot be used, and what to do. */
export function reason(error: unknown, folder: string): string {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return `permission denied: run as root or as the owner of ${folder}, or set VRING_DEFINITIONS_DIR to another folder`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `its file system is full: free some space; nothing was changed`;
    case 'EROFS':
      return 'its file system is read-only: set VRING_DEFINITIONS_DIR to another folder';
    case 'ELOOP':
      return 'its symbolic links form a loop: replace it with the file itself';
    case 'ENOTDIR':
    case 'EEXIST':
      return `${folder} is not a folder: move that file away, or set VRING_DEFINITIONS_DIR to another folder`;
    default:
      return (error as Error).message;
  }
}
