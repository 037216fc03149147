import fs from 'node:fs';
import { probeFormat, type ReadAt, toRaw } from '../../vmm/backends/image-format.ts';

/** What an image file holds, according to its first bytes. */
export type ImageInfo = {
  readonly file: string;
  readonly format: 'raw' | 'qcow2' | 'iso';
  /** Size of the disk in it, in bytes. */
  readonly size: number;
  /** Part of its data is in other host files, which the image refers to. */
  readonly needsOthers: boolean;
};

/** An image cannot be used, or a VM cannot be created; the message says why and what to do. */
export class CreateError extends Error {
  override readonly name = 'CreateError';
}

/** docs/interop/qcow2.rst: magic and offsets of the fields read here, all big-endian. */
const QCOW2 = {
  version: 4,
  backingFile: 8,
  size: 24,
  incompatible: 72,
  bytes: 80,
} as const;
/** Incompatible feature: the data is in another file. */
const EXTERNAL_DATA = 4n;
/** ECMA-119: the identifier of the first volume descriptor. */
const ISO = { at: 0x8001, magic: 'CD001' } as const;

/** @throws CreateError */
export function imageInfo(file: string): ImageInfo {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    throw new CreateError(`the image ${file} cannot be opened: ${openReason(error)}`);
  }
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) throw new CreateError(`the image ${file} is not a regular file: name a disk image`);
    if (stats.size === 0) throw new CreateError(`the image ${file} is empty: was it downloaded in full?`);
    const read: ReadAt = (offset, length) => readAt(fd, offset, length);
    const format = probeFormat(read, stats.size);
    if (format === 'qcow2') return qcow2Info(file, read(0, QCOW2.bytes));
    if (format !== 'raw')
      throw new CreateError(`the image ${file} looks like ${format}: ${toRaw(format, file)}`);
    const isIso = read(ISO.at, ISO.magic.length).toString('latin1') === ISO.magic;
    return { file, format: isIso ? 'iso' : 'raw', size: stats.size, needsOthers: false };
  } finally {
    fs.closeSync(fd);
  }
}

/** The format that a host file appears to have (`probeFormat`); null if unknown. */
export function seenFormat(file: string): string | null {
  try {
    const stats = fs.statSync(file);
    if (!stats.isFile() && !stats.isBlockDevice()) return null;
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      return probeFormat((offset, length) => readAt(fd, offset, length), stats.size);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return null;
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, offset));
}

function qcow2Info(file: string, head: Buffer): ImageInfo {
  if (head.length < QCOW2.bytes)
    throw new CreateError(`the image ${file} is damaged: its qcow2 header is truncated`);
  const size = Number(head.readBigUInt64BE(QCOW2.size));
  if (!Number.isSafeInteger(size) || size === 0)
    throw new CreateError(`the image ${file} is damaged: its header gives a size of ${size} bytes`);
  const features = head.readUInt32BE(QCOW2.version) >= 3 ? head.readBigUInt64BE(QCOW2.incompatible) : 0n;
  const needsOthers = head.readBigUInt64BE(QCOW2.backingFile) !== 0n || (features & EXTERNAL_DATA) !== 0n;
  return { file, format: 'qcow2', size, needsOthers };
}

function openReason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'it does not exist: correct the path';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied: make it readable for this user';
    default:
      return (error as Error).message;
  }
}
