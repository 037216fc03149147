import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { FolderFormat } from '../../../devices/backends/disk.ts';
import { sizeText } from '../../../text/size.ts';
import { DiskError } from '../disk-error.ts';
import { directoryEntries, type FolderEntry, unreadable } from './folder.ts';
import { ENTRY, longNameEntries, SHORT_NAME } from './names.ts';
import {
  clusterSector,
  FATS,
  FIRST_CLUSTER,
  headSectors,
  labelOf,
  mediaByte,
  SECTOR,
  type Volume,
  type VolumeName,
  volumesOf,
} from './volume.ts';

/** Bytes of a file that are copied, and clusters and directory entries that are written, per step. */
const COPY = 2 ** 20;
const STEP_CLUSTERS = 65536;
const STEP_ENTRIES = 256;

const ATTRIBUTE = { volume: 0x08, folder: 0x10, file: 0x20 } as const;
const [DOT, DOT_DOT] = ['.', '..'].map(name => Buffer.from(name.padEnd(SHORT_NAME), 'latin1')) as [
  Buffer,
  Buffer,
];

type Folder = readonly FolderEntry[];

/** A file system with the content of a folder, laid out but not written. */
export type FatLayout = {
  readonly volume: Volume;
  /** Bytes of the disk. */
  readonly size: number;
  /** Where files and folders begin; files without content have no cluster. */
  readonly firstClusters: ReadonlyMap<FolderEntry, number>;
  /** The runs of clusters that belong together, in order, without gaps between them. */
  readonly runs: readonly number[];
};

/**
 * Lays out a FAT file system: each file and folder in consecutive clusters.
 * @param path of the folder, for errors
 * @throws DiskError if it does not fit
 */
export function layOut(root: Folder, format: FolderFormat, path: string): FatLayout {
  const rootEntries = directoryEntries(root, true);
  const sectors = dataSectors(root);
  const volumes = volumesOf(format, rootEntries, sectors);
  for (const volume of volumes) {
    const isRootInClusters = volume.bits === 32;
    if (!isRootInClusters && rootEntries > volume.rootEntries) continue;
    const bytes = volume.clusterSectors * SECTOR;
    const firstClusters = new Map<FolderEntry, number>();
    const runs: number[] = [];
    let next = FIRST_CLUSTER;
    const take = (length: number): number => {
      const clusters = Math.ceil(length / bytes);
      if (clusters > 0) runs.push(clusters);
      next += clusters;
      return next - clusters;
    };
    const place = (folder: Folder) => {
      for (const entry of folder) {
        const { entries, size } = entry;
        if (size > 0) firstClusters.set(entry, take(size));
        if (entries !== null) place(entries);
      }
    };
    if (isRootInClusters) take(ENTRY * rootEntries);
    place(root);
    if (next - FIRST_CLUSTER <= volume.clusters)
      return { volume, size: volume.diskSectors * SECTOR, firstClusters, runs };
  }
  const { diskSectors } = volumes.at(-1)!;
  throw new DiskError(
    `disk ${path} is a folder with ${sizeText(sectors * SECTOR)} in files, which do not fit on a disk of ${sizeText(diskSectors * SECTOR)}` +
      (format === 'fat-floppy' ? ': name a smaller folder, or make it a hard disk (format fat)' : ''),
  );
}

/** The least that files and folders take, with clusters of 4 KiB. */
function dataSectors(folder: Folder): number {
  const cluster = 8 * SECTOR;
  return folder.reduce((sum, { size, entries }) => {
    return sum + 8 * Math.ceil(size / cluster) + (entries === null ? 0 : dataSectors(entries));
  }, 0);
}

/**
 * Writes the file system to an empty file, in steps between which other work can be done.
 * @throws DiskError, or what writing throws
 */
export function* writeImage(
  fd: number,
  root: Folder,
  layout: FatLayout,
  name: VolumeName,
): Generator<void, void> {
  const { volume, size, runs, firstClusters } = layout;
  const { start, reserved, fatSectors, bits } = volume;
  const used = runs.reduce((sum, clusters) => sum + clusters, 0);
  ftruncateSync(fd, size);
  for (const { sector, bytes } of headSectors(volume, name, used)) write(fd, bytes, sector);
  const fat = yield* fatTable(volume, runs);
  for (let copy = 0; copy < FATS; copy++) write(fd, fat, start + reserved + copy * fatSectors);

  const rootAt = bits === 32 ? FIRST_CLUSTER : 0;
  const rootSector = bits === 32 ? clusterSector(volume, rootAt) : start + reserved + FATS * fatSectors;
  yield* writeDirectory(fd, rootSector, root, [labelEntry(name)], firstClusters);

  function* writeEntries(folder: Folder, self: number): Generator<void, void> {
    for (const entry of folder) {
      const cluster = firstClusters.get(entry);
      if (cluster === undefined) continue;
      const sector = clusterSector(volume, cluster);
      if (entry.entries === null) yield* copyFile(fd, entry, sector);
      else {
        const own = dotEntries(entry, cluster, self);
        yield* writeDirectory(fd, sector, entry.entries, own, firstClusters);
        yield* writeEntries(entry.entries, cluster);
      }
    }
  }
  // A parent that is the root is called 0, even where the root has a cluster.
  yield* writeEntries(root, 0);
}

/** Each run is a chain: every cluster names the next, and the last one ends it. */
function* fatTable(volume: Volume, runs: readonly number[]): Generator<void, Buffer> {
  const { bits } = volume;
  const count = runs.reduce((sum, clusters) => sum + clusters, FIRST_CLUSTER);
  const table = Buffer.alloc(Math.ceil((count * bits) / 8 / SECTOR) * SECTOR);
  const put = (index: number, value: number) => {
    if (bits === 32) table.writeUInt32LE(value, 4 * index);
    else if (bits === 16) table.writeUInt16LE(value & 0xffff, 2 * index);
    else {
      // Two entries share the byte in the middle of three.
      const at = Math.floor((3 * index) / 2);
      const shift = (index % 2) * 4;
      table.writeUInt16LE(table.readUInt16LE(at) | ((value & 0xfff) << shift), at);
    }
  };
  put(0, 0x0fff_ff00 | mediaByte(volume));
  put(1, 0x0fff_ffff);
  let next = FIRST_CLUSTER;
  for (const clusters of runs) {
    for (const end = next + clusters; next < end; next++) {
      put(next, next + 1 < end ? next + 1 : 0x0fff_ffff);
      if (next % STEP_CLUSTERS === 0) yield;
    }
  }
  return table;
}

/** @param own the entries before those of its files and folders */
function* writeDirectory(
  fd: number,
  sector: number,
  folder: Folder,
  own: readonly Buffer[],
  firstClusters: FatLayout['firstClusters'],
): Generator<void, void> {
  let at = sector * SECTOR;
  let parts = [...own];
  for (let from = 0; from < folder.length || parts.length > 0; from += STEP_ENTRIES) {
    for (const entry of folder.slice(from, from + STEP_ENTRIES)) {
      const { name, short, entries, modified } = entry;
      const attribute = entries === null ? ATTRIBUTE.file : ATTRIBUTE.folder;
      const size = entries === null ? entry.size : 0;
      const cluster = firstClusters.get(entry) ?? 0;
      parts.push(longNameEntries(name, short), shortEntry({ short, attribute, modified, cluster, size }));
    }
    const bytes = Buffer.concat(parts);
    writeAll(fd, bytes, at);
    at += bytes.length;
    parts = [];
    yield;
  }
}

function labelEntry(name: VolumeName): Buffer {
  const short = Buffer.from(labelOf(name), 'latin1');
  return shortEntry({ short, attribute: ATTRIBUTE.volume, modified: new Date(), cluster: 0, size: 0 });
}

function dotEntries({ modified }: FolderEntry, cluster: number, parent: number): Buffer[] {
  const folder = { attribute: ATTRIBUTE.folder, modified, size: 0 };
  return [
    shortEntry({ ...folder, short: DOT, cluster }),
    shortEntry({ ...folder, short: DOT_DOT, cluster: parent }),
  ];
}

type ShortEntry = {
  readonly short: Buffer;
  readonly attribute: number;
  readonly modified: Date;
  readonly cluster: number;
  readonly size: number;
};

function shortEntry({ short, attribute, modified, cluster, size }: ShortEntry): Buffer {
  const entry = Buffer.alloc(ENTRY);
  const { date, time } = stamp(modified);
  short.copy(entry);
  entry[11] = attribute;
  entry.writeUInt16LE(time, 14);
  for (const at of [16, 18, 24]) entry.writeUInt16LE(date, at);
  entry.writeUInt16LE(cluster >>> 16, 20);
  entry.writeUInt16LE(time, 22);
  entry.writeUInt16LE(cluster & 0xffff, 26);
  entry.writeUInt32LE(size, 28);
  return entry;
}

/** The host's local time, in the years that FAT has, with every other second. */
function stamp(when: Date): { readonly date: number; readonly time: number } {
  const year = when.getFullYear();
  if (year < 1980) return { date: (1 << 5) | 1, time: 0 };
  const date = (Math.min(127, year - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
  const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
  return { date, time };
}

/** A file that has become shorter is filled with zeros; of one that has grown, the rest is missing. */
function* copyFile(fd: number, { path, size }: FolderEntry, sector: number): Generator<void, void> {
  const from = openFile(path);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(COPY, size));
    for (let done = 0; done < size; ) {
      const read = readPart(path, from, buffer.subarray(0, size - done), done);
      if (read === 0) return;
      writeAll(fd, buffer.subarray(0, read), sector * SECTOR + done);
      done += read;
      yield;
    }
  } finally {
    closeSync(from);
  }
}

/** @throws DiskError */
function readPart(path: string, from: number, buffer: Buffer, at: number): number {
  try {
    return readSync(from, buffer, 0, buffer.length, at);
  } catch (error) {
    throw new DiskError(unreadable(path, (error as NodeJS.ErrnoException).code));
  }
}

/** O_NONBLOCK: a pipe that has taken the file's place must not block. @throws DiskError */
function openFile(path: string): number {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP')
      throw new DiskError(unreadable(path, code));
  }
  throw new DiskError(`${path} is no longer a regular file: start the VM again`);
}

function write(fd: number, bytes: Buffer, sector: number): void {
  writeAll(fd, bytes, sector * SECTOR);
}

function writeAll(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}
