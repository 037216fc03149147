import fs from 'node:fs';
import path from 'node:path';
import { MAX_BYTES } from './yaml-text.ts';

const EXTENSION = '.yaml';

/** A file or folder of definitions can't be used; the message says which, why, and what to do. */
export class DefinitionFileError extends Error {
  override readonly name = 'DefinitionFileError';
}

/** Names of the definitions in a folder, in order; none when there is no such folder. @throws DefinitionFileError */
export function listNames(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder)
      .filter(file => file.endsWith(EXTENSION) && !file.startsWith('.'))
      .map(file => file.slice(0, -EXTENSION.length))
      .sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new DefinitionFileError(`the definitions in ${folder} can't be read: ${reason(error, folder)}`);
  }
}

export function fileOf(folder: string, name: string): string {
  return path.join(folder, `${name}${EXTENSION}`);
}

/** Where the file that was there before is kept. */
export function backupOf(file: string): string {
  return `${file}~`;
}

/** What changes when a file is written or replaced; null when there is none. */
export function stampOf(file: string): string | null {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return null;
  }
}

/** The bytes of a definition, one more than may be at most. @throws DefinitionFileError */
export function readFile(folder: string, name: string): Buffer {
  const file = fileOf(folder, name);
  try {
    refuseLinkOut(folder, file);
    // A FIFO would hold up everybody until something is written into it.
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      if (!fs.fstatSync(fd).isFile())
        throw new DefinitionFileError(`${file} is no regular file: move it away`);
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      return buffer.subarray(0, readAll(fd, buffer));
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (error instanceof DefinitionFileError) throw error;
    if (codeOf(error) === 'ENOENT')
      throw new DefinitionFileError(`there is no definition of ${name}: ${file} does not exist`);
    throw new DefinitionFileError(`${file} can't be read: ${reason(error, folder)}`);
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

/** A definition decides what root opens and runs: it is what is in this folder, and nothing that a link leads to. */
export function refuseLinkOut(folder: string, file: string): void {
  const real = fs.realpathSync(file);
  if (path.dirname(real) === fs.realpathSync(folder)) return;
  throw new DefinitionFileError(
    `${file} is a link that leads out of its folder, to ${real}: put the file itself there`,
  );
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Why a file or folder can't be used, and what to do. */
export function reason(error: unknown, folder: string): string {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return `permission denied: run as root or as the owner of ${folder}, or set VRING_DEFINITIONS_DIR to another folder`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `no space is left on its file system: free some; nothing was changed`;
    case 'EROFS':
      return 'its file system is read-only: set VRING_DEFINITIONS_DIR to another folder';
    case 'ELOOP':
      return 'its links lead in a circle: put the file itself there';
    case 'ENOTDIR':
    case 'EEXIST':
      return `${folder} is no folder: move that file away, or set VRING_DEFINITIONS_DIR to another folder`;
    default:
      return (error as Error).message;
  }
}
