import fs from 'node:fs';
import { CreateError } from '../create/image-info.ts';

/** ECMA-119: volume descriptors begin at sector 16; type 2 with one of these escape sequences is Joliet's, in UCS-2. */
const SECTOR = 2048;
const FIRST_DESCRIPTOR = 16;
const LAST_DESCRIPTOR = 32;
const JOLIET_ESCAPES = new Set(['%/@', '%/C', '%/E']);
const SUPPLEMENTARY = 2;
const TERMINATOR = 255;
/** A seed's files are a few kilobytes. */
const MOST_BYTES = 2 ** 20;
const DIRECTORY_FLAG = 2;

/** Whether a file is an image with the label that cloud-init looks for. */
export function isSeedImage(file: string): boolean {
  try {
    return withImage(file, read => {
      const volume = read(FIRST_DESCRIPTOR * SECTOR, SECTOR);
      return isDescriptor(volume) && /^cidata\s*$/i.test(volume.toString('latin1', 40, 72));
    });
  } catch {
    return false;
  }
}

/** The files in a seed image, by name (ISO 9660 with Joliet names, as mkisofs -J makes it). @throws CreateError */
export function readSeedImage(file: string): Record<string, string> {
  return withImage(file, read => {
    const root = jolietRoot(file, read);
    const folder = read(root.sector * SECTOR, root.bytes);
    const files: Record<string, string> = {};
    for (let at = 0; at < folder.length; ) {
      const length = folder[at]!;
      // Records do not cross sectors: the rest of one is zero.
      if (length === 0) {
        at = (Math.floor(at / SECTOR) + 1) * SECTOR;
        continue;
      }
      const record = folder.subarray(at, at + length);
      at += length;
      if (record.length < 34 || (record[25]! & DIRECTORY_FLAG) !== 0) continue;
      const name = ucs2(record.subarray(33, 33 + record[32]!)).replace(/;1$/, '');
      const { sector, bytes } = extentOf(file, record);
      files[name] = read(sector * SECTOR, bytes).toString('utf8');
    }
    return files;
  });
}

type Read = (at: number, bytes: number) => Buffer;

function withImage<Result>(file: string, use: (read: Read) => Result): Result {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    throw new CreateError(`the seed ${file} cannot be read: ${(error as Error).message}`);
  }
  try {
    return use((at, bytes) => {
      const buffer = Buffer.alloc(bytes);
      if (fs.readSync(fd, buffer, 0, bytes, at) < bytes) throw damaged(file);
      return buffer;
    });
  } finally {
    fs.closeSync(fd);
  }
}

function jolietRoot(file: string, read: Read): { sector: number; bytes: number } {
  for (let sector = FIRST_DESCRIPTOR; sector < LAST_DESCRIPTOR; sector++) {
    const descriptor = read(sector * SECTOR, SECTOR);
    if (!isDescriptor(descriptor) || descriptor[0] === TERMINATOR) break;
    const isJoliet = JOLIET_ESCAPES.has(descriptor.toString('latin1', 88, 91));
    if (descriptor[0] === SUPPLEMENTARY && isJoliet) return extentOf(file, descriptor.subarray(156, 190));
  }
  throw new CreateError(`${file} has no Joliet file names: share the seed, or make a new one`);
}

function isDescriptor(sector: Buffer): boolean {
  return sector.toString('latin1', 1, 6) === 'CD001';
}

/** The extent of a directory record's file. */
function extentOf(file: string, record: Buffer): { sector: number; bytes: number } {
  const bytes = record.readUInt32LE(10);
  if (bytes > MOST_BYTES) throw damaged(file);
  return { sector: record.readUInt32LE(2), bytes };
}

function ucs2(bytes: Buffer): string {
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le');
}

function damaged(file: string): CreateError {
  return new CreateError(`the seed ${file} is damaged: make a new one`);
}
