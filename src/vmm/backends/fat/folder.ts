import { isUtf8 } from 'node:buffer';
import { opendirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { sizeText } from '../../../text/size.ts';
import { DiskError } from '../disk-error.ts';
import { ENTRY, entryCount, MAX_DIRECTORY_ENTRIES, shortNames } from './names.ts';

/** A file or folder that goes onto the disk. */
export type FolderEntry = {
  readonly name: string;
  /** Its 8.3 name, as 11 bytes. */
  readonly short: Buffer;
  readonly path: string;
  readonly modified: Date;
  /** Bytes of a file, or of a folder's directory. */
  readonly size: number;
  /** The entries that it takes in the directory of its folder. */
  readonly entryCount: number;
  /** Of a folder; null for a file. */
  readonly entries: readonly FolderEntry[] | null;
};

/**
 * Bytes of a file, whose directory entry has 32 bits for them. fsck.vfat counts those of its clusters in 32 bits, too,
 * and would empty a file that needs all of 4 GiB.
 */
const MAX_FILE = 2 ** 32 - 4096;
/** Bytes of all files: they are copied whenever a VM starts. */
const MAX_BYTES = 4 * 2 ** 30;
const MAX_ENTRIES = 65536;
/** Names and files handled per step. */
const STEP_ENTRIES = 256;

/**
 * All files and folders below a folder. Symbolic links are followed; those that lead nowhere, and what is neither a file
 * nor a folder, are left out.
 * @returns them, after short steps
 * @throws DiskError
 */
export function* scanFolder(folder: string): Generator<void, FolderEntry[]> {
  let count = 0;
  let bytes = 0;
  const tooLarge = (what: string) =>
    new DiskError(
      `disk ${folder} is a folder with more than ${what}: name a smaller one, or put its files on an image`,
    );

  function* namesIn(path: string): Generator<void, string[]> {
    const names: string[] = [];
    // Names that are not UTF-8 would be changed by decoding them, and then not be found.
    const options = { encoding: 'buffer' as BufferEncoding, bufferSize: STEP_ENTRIES };
    const directory = opendirSync(path, options);
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        const name = entry.name as unknown as Buffer;
        if (!isUtf8(name))
          throw new DiskError(`disk ${folder}: the name of ${path}/${name} is not UTF-8: rename the file`);
        if (names.push(name.toString()) % STEP_ENTRIES === 0) yield;
        if (count + names.length > MAX_ENTRIES) throw tooLarge(`${MAX_ENTRIES} files`);
      }
    } finally {
      directory.closeSync();
    }
    return names.sort();
  }

  function* scan(path: string, parents: readonly string[]): Generator<void, FolderEntry[]> {
    yield;
    const id = identity(statSync(path));
    if (parents.includes(id))
      throw new DiskError(`disk ${folder}: ${path} is a link to a folder that it is in: remove it`);
    const found = new Map<string, Stats>();
    for (const [index, name] of (yield* namesIn(path)).entries()) {
      const stats = statsOf(join(path, name));
      if (stats?.isFile() || stats?.isDirectory()) found.set(name, stats);
      if (index % STEP_ENTRIES === 0) yield;
    }
    count += found.size;
    const names = yield* shortNames([...found.keys()], path);
    const scanned: FolderEntry[] = [];
    for (const [name, stats] of found) {
      const file = join(path, name);
      if (stats.isFile() && stats.size > MAX_FILE)
        throw new DiskError(`disk ${folder}: ${file} has 4 GiB or nearly, which FAT cannot store`);
      if (stats.isFile()) bytes += stats.size;
      if (bytes > MAX_BYTES) throw tooLarge(`${sizeText(MAX_BYTES)} of files`);
      const entries = stats.isFile() ? null : yield* scan(file, [...parents, id]);
      const size = entries === null ? stats.size : ENTRY * directoryEntries(entries, false);
      const short = names.get(name)!;
      const own = { entryCount: entryCount(name, short), modified: stats.mtime };
      scanned.push({ name, short, path: file, size, entries, ...own });
      if (scanned.length % STEP_ENTRIES === 0) yield;
    }
    if (directoryEntries(scanned, parents.length === 0) > MAX_DIRECTORY_ENTRIES)
      throw new DiskError(
        `disk ${folder}: ${path} has more names than a folder of a FAT file system, where long ones take the room of several: divide it`,
      );
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
    throw new DiskError(`disk ${folder}: ${unreadable(path, code)}`);
  }
}

/** Entries of a directory: its own label, or those for itself and its parent, and the names. */
export function directoryEntries(entries: readonly FolderEntry[], isRoot: boolean): number {
  return entries.reduce((sum, { entryCount }) => sum + entryCount, isRoot ? 1 : 2);
}

/** That a file or folder cannot be read, for an error. */
export function unreadable(path: string, code: string | undefined): string {
  return `${path} cannot be read (${code}): make it readable, or move it out of the folder`;
}

/** Null for what is not there, and for links that lead nowhere: also those that lead to one another. */
function statsOf(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return null;
    throw error;
  }
}

function identity({ dev, ino }: Stats): string {
  return `${dev} ${ino}`;
}
