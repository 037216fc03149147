import { constants } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { SECTOR } from '../../devices/virtio/blk-config.ts';
import { shellText } from '../../text/shell.ts';
import { sizeText } from '../../text/size.ts';
import { DiskError } from './disk-error.ts';
import { deviceNumbers, type FileIdentity, fileIdentity } from './file-identity.ts';

/** The present state of a disk's file. */
export type DiskSize = {
  readonly bytes: number;
  readonly file: FileIdentity;
};

export type SizeChange = {
  /** The new size of the file; null if it has it already. */
  readonly bytes: number | null;
  /** Whether data beyond the new size may be lost. */
  readonly shrink: boolean;
};

/**
 * Resizes a disk's file, or finds out its size, and announces the size when disk and file agree on it: `announce` is
 * called after the file has grown, and before it shrinks; with its present size also before it grows. A file system
 * that hangs blocks only the promise.
 * @returns the size. @throws DiskError, or what `announce` throws
 */
export async function changeDiskSize(
  path: string,
  { bytes, shrink }: SizeChange,
  announce: (size: DiskSize) => Promise<void>,
): Promise<number> {
  const handle = await opened(path, bytes !== null);
  try {
    const now = await sizeOf(handle, path);
    const size = bytes ?? now.bytes;
    checkChange(path, now.bytes, size, shrink || bytes === null);
    if (bytes !== null && now.isBlockDevice && bytes !== now.bytes) {
      throw new DiskError(
        `disk ${path} is a block device: resize it with its own tools (\`${shellText(['lvextend', '-L', sizeText(bytes), path])}\`), then leave out the size`,
      );
    }
    if (size > now.bytes) {
      // The name may lead to another file than the one in use: that one is then refused, and this one stays unchanged.
      const present = now.bytes - (now.bytes % SECTOR);
      if (present > 0) await announce({ bytes: present, file: now.file });
      await truncated(handle, path, size);
    }
    await announce({ bytes: size, file: now.file });
    if (size < now.bytes) await truncated(handle, path, size);
    return size;
  } finally {
    await handle.close();
  }
}

function checkChange(path: string, from: number, to: number, shrink: boolean): void {
  if (to === 0) throw new DiskError(`disk ${path} is empty: give it a size`);
  if (to % SECTOR !== 0) {
    throw new DiskError(`disk ${path}: a size of ${to} bytes is not a multiple of ${SECTOR}`);
  }
  if (to < from && !shrink) {
    throw new DiskError(
      `disk ${path} has ${sizeText(from)}: the guest would lose what is beyond ${sizeText(to)}; shrink its file systems first, then use vring vm resize --shrink`,
    );
  }
}

/** Opens what the path leads to. It is never a pipe, whose open would block. */
async function opened(path: string, write: boolean): Promise<FileHandle> {
  try {
    const found = await stat(path);
    if (!found.isFile() && !found.isBlockDevice()) throw new DiskError(`disk ${path} is no longer a file`);
    const flags = found.isFile() && write ? constants.O_RDWR : constants.O_RDONLY;
    return await open(path, flags | constants.O_NONBLOCK);
  } catch (error) {
    throw error instanceof DiskError ? error : failed(path, 'opened', error);
  }
}

async function sizeOf(handle: FileHandle, path: string): Promise<DiskSize & { isBlockDevice: boolean }> {
  const stats = await handle.stat({ bigint: true });
  const isBlockDevice = stats.isBlockDevice();
  const bytes = isBlockDevice ? await deviceSize(path, stats.rdev) : Number(stats.size);
  return { bytes, file: fileIdentity(stats), isBlockDevice };
}

async function deviceSize(path: string, device: bigint): Promise<number> {
  const { major, minor } = deviceNumbers(device);
  try {
    // In sectors of 512 bytes, regardless of the device's own.
    return SECTOR * Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8'));
  } catch (error) {
    throw failed(path, 'measured', error);
  }
}

async function truncated(handle: FileHandle, path: string, size: number): Promise<void> {
  try {
    await handle.truncate(size);
  } catch (error) {
    throw failed(path, `resized to ${sizeText(size)}`, error);
  }
}

function failed(path: string, what: string, error: unknown): DiskError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DiskError(`disk ${path} cannot be ${what}: ${code ?? message}`);
}
