import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { sizeText } from '../../../text/size.ts';
import { DiskError } from '../disk-error.ts';
import { shortNames } from './names.ts';

/** A file or folder that goes onto the disk. */
export type FolderEntry = {
  readonly name: string;
  /** Its 8.3 name, as 11 bytes. */
  readonly short: Buffer;
  readonly path: string;
  readonly modified: Date;
  /** Bytes of a file. */
  readonly size: number;
  /** Of a folder; null for a file. */
  readonly entries: readonly FolderEntry[] | null;
};

/** Bytes of a file, whose directory entry has 32 bits for them. */
const MAX_FILE = 2 ** 32 - 1;
/** Bytes of all files: they are copied whenever a VM starts. */
const MAX_BYTES = 4 * 2 ** 30;
const MAX_ENTRIES = 65536;

/**
 * All files and folders below a folder. Symbolic links are followed; those that lead nowhere, and what is neither a file
 * nor a folder, are left out.
 * @returns them, after a step for each folder
 * @throws DiskError
 */
export function* scanFolder(folder: string): Generator<void, FolderEntry[]> {
  let count = 0;
  let bytes = 0;
  const tooLarge = (what: string) =>
    new DiskError(
      `disk ${folder} is a folder with more than ${what}: name a smaller one, or put its files on an image`,
    );

  function* scan(path: string, parents: readonly string[]): Generator<void, FolderEntry[]> {
    yield;
    const id = identity(statSync(path));
    if (parents.includes(id))
      throw new DiskError(`disk ${folder}: ${path} is a link to a folder that it is in: remove it`);
    const found = readdirSync(path)
      .sort()
      .flatMap(name => {
        const stats = statSync(join(path, name), { throwIfNoEntry: false });
        return stats?.isFile() || stats?.isDirectory() ? [{ name, path: join(path, name), stats }] : [];
      });
    count += found.length;
    if (count > MAX_ENTRIES) throw tooLarge(`${MAX_ENTRIES} files`);
    const names = shortNames(
      found.map(({ name }) => name),
      path,
    );
    const scanned: FolderEntry[] = [];
    for (const { name, path, stats } of found) {
      const size = stats.isFile() ? stats.size : 0;
      if (size > MAX_FILE)
        throw new DiskError(`disk ${folder}: ${path} has 4 GiB or more, which FAT cannot store`);
      bytes += size;
      if (bytes > MAX_BYTES) throw tooLarge(`${sizeText(MAX_BYTES)} of files`);
      const entries = stats.isFile() ? null : yield* scan(path, [...parents, id]);
      scanned.push({ name, short: names.get(name)!, path, modified: stats.mtime, size, entries });
    }
    return scanned;
  }

  try {
    return yield* scan(folder, []);
  } catch (error) {
    if (error instanceof DiskError) throw error;
    const { code, path = folder } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path === folder)
      throw new DiskError(`disk ${folder} does not exist: create the folder, or correct the path`);
    if (code === 'ENOTDIR')
      throw new DiskError(`disk ${folder} is not a folder: leave out its format, or name the folder`);
    throw new DiskError(`disk ${folder}: ${path} cannot be read: ${code}`);
  }
}

function identity({ dev, ino }: Stats): string {
  return `${dev} ${ino}`;
}
