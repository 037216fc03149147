import fs from 'node:fs/promises';
import { helperFailure, runHelper } from './helper-program.ts';
import { CreateError, type ImageInfo } from './image-info.ts';

const CHUNK = 2 ** 20;
const ZEROES = Buffer.alloc(CHUNK);

/** The kernel's errors for file systems that cannot share blocks (ioctl_ficlonerange(2)), or not between these two. */
const CANNOT_REFLINK = new Set(['EOPNOTSUPP', 'ENOTSUP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'EBADF']);

/** Bytes done, and the total. */
export type Progress = (done: number, all: number) => void;

/**
 * Writes an image to a raw disk, with holes where it is zero, and grows it to `size`.
 * @param disk an existing, empty file
 * @throws CreateError
 */
export async function fillDisk(
  disk: string,
  { file, format, size: imageSize }: ImageInfo,
  size: number,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  if (format === 'qcow2') await convert(file, disk, progress, imageSize, signal);
  else await copy(file, disk, progress, imageSize, signal);
  await fs.truncate(disk, size);
}

/**
 * Copies a file, with its holes; instantly where the file system can share blocks (reflink).
 * @param to an existing, empty file
 */
export async function copyFile(
  from: string,
  to: string,
  size: number,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await fs.copyFile(from, to, fs.constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!CANNOT_REFLINK.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    // A failed copy removes its target.
    await (await fs.open(to, 'a', 0o600)).close();
    await copy(from, to, progress, size, signal);
    await fs.truncate(to, size);
  }
}

async function copy(
  from: string,
  to: string,
  progress: Progress,
  size: number,
  signal?: AbortSignal,
): Promise<void> {
  const source = await fs.open(from, 'r');
  const target = await fs.open(to, 'r+');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    // An image that keeps growing must not keep the copy going.
    for (let at = 0; at < size; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, Math.min(CHUNK, size - at), at);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      if (!chunk.equals(ZEROES.subarray(0, bytesRead))) await target.write(chunk, 0, bytesRead, at);
      at += bytesRead;
      progress(at, size);
    }
    await target.sync();
  } finally {
    await source.close();
    await target.close();
  }
}

/**
 * Creates a qcow2 disk in place of an empty file.
 * @param backing provides the content that is not written yet
 * @throws CreateError
 */
export async function createQcow2(
  file: string,
  size: number,
  backing: Pick<ImageInfo, 'file' | 'format'> | null,
  signal?: AbortSignal,
): Promise<void> {
  const over = backing === null ? [] : ['-b', backing.file, '-F', backing.format];
  const args = ['create', '-q', '-f', 'qcow2', ...over, file, String(size)];
  const result = await runHelper('qemu-img', args, signal);
  signal?.throwIfAborted();
  if (result.code === 'ENOENT')
    throw new CreateError(
      'qemu-img creates qcow2 disks: install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora), or use a raw disk',
    );
  if (result.failed) throw helperFailure(`qemu-img could not create ${file}`, file, result);
}

async function convert(
  from: string,
  to: string,
  progress: Progress,
  size: number,
  signal?: AbortSignal,
): Promise<void> {
  const running = runHelper('qemu-img', ['convert', '-p', '-f', 'qcow2', '-O', 'raw', from, to], signal);
  running.stdout.on('data', (text: Buffer) => {
    const percent = /\((\d+(?:\.\d+)?)\/100%\)\s*$/.exec(text.toString())?.[1];
    if (percent !== undefined) progress((size * Number(percent)) / 100, size);
  });
  const result = await running;
  signal?.throwIfAborted();
  if (result.code === 'ENOENT') {
    throw new CreateError(
      `${from} is a qcow2 image, which qemu-img converts to a raw disk: install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora), then try again`,
    );
  }
  if (result.failed) throw helperFailure(`qemu-img could not convert ${from}`, to, result);
}
