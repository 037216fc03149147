import { fstatSync, readFileSync, readSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type DiskOptions,
  type FolderFormat,
  type ImageFormat,
  isFolder,
  isUncached,
} from '../../devices/backends/disk.ts';
import { codeText } from '../../text/errno.ts';
import { shellText } from '../../text/shell.ts';
import * as libc from '../native/libc.ts';
import { DiskError } from './disk-error.ts';
import { lockDisk } from './disk-lock.ts';
import { folderImage } from './fat/folder-image.ts';
import { deviceNumbers, type FileIdentity, fileIdentity } from './file-identity.ts';
import { type BackingFile, openChain } from './image-chain.ts';
import { probeFormat, toRaw } from './image-format.ts';
import { openOverlay } from './transient-overlay.ts';

/** open(2) flag, from asm-generic/fcntl.h: for a block device, fails while the host has it mounted. */
const O_EXCL = 0o200;
/** open(2) flag: gets a handle without opening the file, so that a FIFO can't block and no device is touched. */
const O_PATH = 0o10000000;

/** ioctls of block devices, from linux/fs.h. */
const BLKGETSIZE64 = 0x8008_1272;
const BLKPBSZGET = 0x127b;

const SECTOR = 512;
const PAGE = 4096;

/** An open disk. Sizes in bytes. */
export type OpenDisk = {
  readonly fd: number;
  readonly imageFormat: ImageFormat;
  /** Its backing files, the next one first. */
  readonly backing: readonly BackingFile[];
  /** Of the disk. Follows the file while it is in use. */
  size: number;
  readonly isBlockDevice: boolean;
  /** The unit in which the store reads and writes. */
  readonly blockSize: number;
  /** Whether holes can be punched into it. */
  readonly canDiscard: boolean;
  readonly file: FileIdentity;
};

type ImageOptions = DiskOptions & { readonly format: ImageFormat | undefined };

/**
 * Opens an image file or a block device, bypassing the page cache if `cache` asks for it and it is possible, and locks
 * it against other writers (for `readonly`, shares it with other readers). Its backing files are opened and locked for
 * reading.
 * @throws DiskError
 */
export function openDisk(options: DiskOptions): OpenDisk {
  const steps = openInSteps(options);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * Checks that a disk can be opened, whoever uses it at the moment: for a definition, which is for later.
 * @throws DiskError
 */
export function checkDisk(options: DiskOptions): void {
  const { path, format } = options;
  if (isFolder(format)) {
    const isFolderThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    if (!isFolderThere) throw new DiskError(`disk ${path} is not a folder: give one, or another format`);
    return;
  }
  const readonly = options.readonly || options.transient === true;
  const { fd, isBlockDevice } = openChecked({ ...options, readonly }, { exclusively: false });
  try {
    const bytes = sizeOfFile(fd, isBlockDevice);
    if ((format ?? checkFormat(fd, path, bytes)) === 'raw') checkSize(path, bytes, isBlockDevice);
  } finally {
    libc.close(fd);
  }
}

/** Like `openDisk`; the files of a folder are copied in steps, between which other work can be done. @throws DiskError */
export function* openInSteps(options: DiskOptions): Generator<void, OpenDisk> {
  const { format } = options;
  if (isFolder(format)) return yield* openFolder(options, format);
  const image = { ...options, format };
  return options.transient ? openTransient(image) : openImage(image);
}

/** Makes a disk of a folder, in a temporary file. */
function* openFolder(options: DiskOptions, format: FolderFormat): Generator<void, OpenDisk> {
  const { path, label, readonly, transient } = options;
  if (!readonly && !transient)
    throw new DiskError(
      `disk ${path} is a folder, to which nothing that the guest writes returns: set readonly, or transient if what it writes may be lost`,
    );
  const { fd, size } = yield* folderImage(path, format, label);
  const stats = fstatSync(fd, { bigint: true });
  return {
    ...{ fd, size, imageFormat: 'raw', backing: [], isBlockDevice: false },
    blockSize: Number(stats.blksize),
    canDiscard: !readonly && fileDiscards(fd, size),
    file: fileIdentity(stats),
  };
}

/** Opens a private overlay over the disk, which itself is only read. @throws DiskError */
function openTransient(options: ImageOptions): OpenDisk {
  const base = openImage({ ...options, readonly: true });
  try {
    const { path } = options;
    const written = openOverlay(path, base.size, base.imageFormat);
    const fd = isUncached(options.cache) ? reopenUncached(written) : written;
    const stats = fstatSync(fd, { bigint: true });
    return {
      fd,
      imageFormat: 'qcow2',
      backing: [{ fd: base.fd, path, format: base.imageFormat }, ...base.backing],
      size: base.size,
      isBlockDevice: false,
      blockSize: Number(stats.blksize),
      canDiscard: true,
      file: fileIdentity(stats),
    };
  } catch (error) {
    for (const fd of fdsOf(base)) libc.close(fd);
    throw error;
  }
}

/** The same file, bypassing the page cache if possible. */
function reopenUncached(fd: number): number {
  try {
    return openUncached(`/proc/self/fd/${fd}`, libc.O_RDWR);
  } finally {
    libc.close(fd);
  }
}

function openImage(options: ImageOptions): OpenDisk {
  const { path, readonly, format } = options;
  const { fd, isBlockDevice } = openChecked(options);
  try {
    lockDisk(fd, path, readonly);
    const stats = fstatSync(fd, { bigint: true });
    const bytes = sizeOfFile(fd, isBlockDevice);
    const file = fileIdentity(stats);
    const imageFormat = format ?? checkFormat(fd, path, bytes);
    const disk = {
      fd,
      file,
      isBlockDevice,
      imageFormat,
      blockSize: isBlockDevice ? ioctlU64(fd, 'BLKPBSZGET', BLKPBSZGET) : Number(stats.blksize),
    };
    if (imageFormat === 'raw') {
      checkSize(path, bytes, isBlockDevice);
      const canDiscard = !readonly && (isBlockDevice ? deviceDiscards(stats.rdev) : fileDiscards(fd, bytes));
      return { ...disk, size: bytes, canDiscard, backing: [] };
    }
    const open = (path: string) => openBackingFile(path, options);
    const chain = { path, fd, file, readonly, isProbed: format === undefined, open, probe: probeFile };
    const { size, backing } = openChain(chain, libc.close);
    if (size === 0) {
      for (const { fd } of backing) libc.close(fd);
      throw new DiskError(`disk ${path} is empty: give it a size with \`${resize('10G', path)}\``);
    }
    return { ...disk, size, canDiscard: !readonly, backing };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function openBackingFile(path: string, { cache }: DiskOptions): { fd: number; file: string } {
  const { fd } = openChecked({ path, readonly: true, cache });
  try {
    lockDisk(fd, path, true);
    return { fd, file: fileIdentity(fstatSync(fd, { bigint: true })) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** The fds of an open disk: its own, then those of its backing files. */
export function fdsOf({ fd, backing }: OpenDisk): number[] {
  return [fd, ...backing.map(({ fd }) => fd)];
}

function sizeOfFile(fd: number, isBlockDevice: boolean): number {
  return isBlockDevice ? ioctlU64(fd, 'BLKGETSIZE64', BLKGETSIZE64) : fstatSync(fd).size;
}

function probeFile(fd: number): string {
  const size = sizeOfFile(fd, fstatSync(fd).isBlockDevice());
  return probeFormat((offset, length) => readPages(fd, offset, length), size);
}

/** Checks what the path leads to, and opens that same file: it can't be swapped between the check and the open. */
function openChecked(
  options: DiskOptions,
  { exclusively = true } = {},
): { fd: number; isBlockDevice: boolean } {
  const { path, readonly } = options;
  const found = opened(options, false, () => libc.open(path, O_PATH));
  try {
    const stats = fstatSync(found);
    const isBlockDevice = stats.isBlockDevice();
    if (!stats.isFile() && !isBlockDevice) {
      const orFolder = stats.isDirectory() ? ', or add format=fat to make a disk of its files' : '';
      throw new DiskError(
        `disk ${path} is ${kindOf(stats)}: give an image file or a block device${orFolder}`,
      );
    }
    const flags =
      (readonly ? libc.O_RDONLY : libc.O_RDWR) | (isBlockDevice && !readonly && exclusively ? O_EXCL : 0);
    const again = `/proc/self/fd/${found}`;
    const open = () => (isUncached(options.cache) ? openUncached(again, flags) : libc.open(again, flags));
    return { fd: opened(options, isBlockDevice, open), isBlockDevice };
  } finally {
    libc.close(found);
  }
}

function kindOf(stats: ReturnType<typeof fstatSync>): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a character device';
}

function opened<Result>({ path, readonly }: DiskOptions, isBlockDevice: boolean, open: () => Result): Result {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error;
    if (isBlockDevice && error.errno === constants.errno.EBUSY) {
      throw new DiskError(
        `disk ${path} is in use by the host (mounted, or part of a RAID or LVM): release it, or attach it read-only`,
      );
    }
    throw new DiskError(openAdvice(path, readonly, error.code));
  }
}

/**
 * Refuses an image that looks like a format other than these: as a raw disk, the guest would overwrite its metadata.
 */
function checkFormat(fd: number, path: string, size: number): ImageFormat {
  const format = probeFormat((offset, length) => readPages(fd, offset, length), size);
  if (format === 'raw' || format === 'qcow2') return format;
  throw new DiskError(
    `disk ${path} looks like ${format}, which would be overwritten as a raw disk: ${toRaw(format, path)}, ` +
      'or set format=raw if it is a raw disk and its guest wrote that',
  );
}

/** Reads with a buffer and offsets aligned for O_DIRECT. */
function readPages(fd: number, offset: number, length: number): Buffer {
  const start = Math.floor(offset / PAGE) * PAGE;
  const span = Math.ceil((offset + length - start) / PAGE) * PAGE;
  const memory = libc.mmap(span, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS, -1);
  try {
    const view = new Uint8Array(libc.viewOf(memory, span));
    const read = readSync(fd, view, 0, span, start);
    return Buffer.from(view.slice(offset - start, Math.min(read, offset - start + length)));
  } catch (error) {
    throw new DiskError(`the disk cannot be read: ${codeText((error as NodeJS.ErrnoException).code)}`);
  } finally {
    libc.munmap(memory, span);
  }
}

/** Opens with O_DIRECT if requests of one sector work that way, else without. */
function openUncached(path: string, flags: number): number {
  try {
    const fd = libc.open(path, flags | libc.O_DIRECT);
    if (readsSectors(fd)) return fd;
    libc.close(fd);
  } catch (error) {
    // EINVAL: the file system has no O_DIRECT.
    if (!(error instanceof libc.SystemError && error.errno === constants.errno.EINVAL)) throw error;
  }
  return libc.open(path, flags);
}

/**
 * Whether a single sector can be read. With O_DIRECT, disks with 4096-byte blocks accept nothing smaller, but a guest
 * may ask for 512 bytes.
 */
function readsSectors(fd: number): boolean {
  const memory = libc.mmap(PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS, -1);
  try {
    readSync(fd, new Uint8Array(libc.viewOf(memory, PAGE)), 0, SECTOR, SECTOR);
    return true;
  } catch {
    return false;
  } finally {
    libc.munmap(memory, PAGE);
  }
}

function checkSize(path: string, size: number, isBlockDevice: boolean): void {
  if (size === 0 && isBlockDevice) throw new DiskError(`disk ${path} has no medium: insert or attach one`);
  if (size === 0) {
    throw new DiskError(`disk ${path} is empty: give it a size with \`${truncate('10G', path)}\``);
  }
  if (size % SECTOR !== 0) {
    const next = Math.ceil(size / SECTOR) * SECTOR;
    throw new DiskError(
      `disk ${path} has ${size} bytes, not a multiple of ${SECTOR}: it may be truncated or not a raw image ` +
        `(\`${truncate(String(next), path)}\` pads it)`,
    );
  }
}

function truncate(size: string, path: string): string {
  return shellText(['truncate', '-s', size, path]);
}

function resize(size: string, path: string): string {
  return shellText(['vring', 'image', 'resize', path, size]);
}

function creation(path: string): string {
  return path.endsWith('.qcow2')
    ? shellText(['vring', 'image', 'create', path, '10G'])
    : truncate('10G', path);
}

function openAdvice(path: string, readonly: boolean, code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      // An empty file that cannot be written, as for a CD, is useless.
      if (readonly) return `disk ${path} does not exist: correct the path`;
      return `disk ${path} does not exist: create it with \`${creation(path)}\`, or correct the path`;
    case 'EACCES':
    case 'EPERM':
      return `no permission for disk ${path}: make it readable and writable for this user, or attach it read-only`;
    case 'EROFS':
      return `disk ${path} is on a read-only file system: attach it read-only`;
    case 'ETXTBSY':
      return `disk ${path} is in use as swap space or as a running program: release it first`;
    default:
      return `disk ${path} cannot be opened: ${codeText(code)}`;
  }
}

/** An ioctl that returns at most 8 bytes, little-endian. */
function ioctlU64(fd: number, name: string, request: number): number {
  const value = new BigUint64Array(1);
  libc.ioctl(fd, name, request, new Uint8Array(value.buffer));
  return Number(value[0]);
}

/** Tries to punch a hole past the end, where there is no data to lose. */
function fileDiscards(fd: number, size: number): boolean {
  try {
    libc.fallocate(fd, libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE, size, SECTOR);
    return true;
  } catch {
    return false;
  }
}

function deviceDiscards(device: bigint): boolean {
  const { major, minor } = deviceNumbers(device);
  const node = `/sys/dev/block/${major}:${minor}`;
  // A partition uses its disk's queue.
  for (const queue of [`${node}/queue`, `${node}/../queue`]) {
    try {
      return Number(readFileSync(`${queue}/discard_max_bytes`, 'utf8')) > 0;
    } catch {}
  }
  return false;
}
