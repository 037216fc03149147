import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { close } from '../native/libc.ts';
import { BootError } from './boot-error.ts';

/** Node limits a length to a signed 32-bit number. */
const READ_MAX = 2 ** 30;

/** A kernel, an initrd or firmware, read in chunks straight into guest memory. */
export interface ImageFile {
  /** The path, for errors. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Fills `target` from byte `offset` on.
   * @throws BootError if the file ends early; `part` names what was being read.
   */
  readInto(target: Uint8Array, offset: number, part: string): void;
  close(): void;
}

export type ImagePurpose = 'kernel' | 'initrd' | 'module' | 'firmware' | 'variables' | 'fw_cfg file';

/** @throws BootError if it doesn't exist or can't be read. */
export function openImage(path: string, purpose: ImagePurpose): ImageFile {
  return imageOfFd(path, openImageFd(path, purpose));
}

/** @returns the fd of an image file. @throws BootError */
export function openImageFd(path: string, purpose: ImagePurpose): number {
  let fd: number;
  try {
    // Non-blocking: opening a named pipe without a writer would block the machine thread forever.
    const access = purpose === 'variables' ? constants.O_RDWR : constants.O_RDONLY;
    fd = openSync(path, access | constants.O_NONBLOCK);
  } catch (error) {
    throw new BootError(`cannot open the ${purpose} ${path}: ${explain(error)}`);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new BootError(`the ${purpose} ${path} is not a regular file: give the path of an image`);
}

/** An open image file, which takes over `fd`. */
export function imageOfFd(path: string, fd: number): ImageFile {
  const { size } = fstatSync(fd);
  return {
    name: path,
    size,
    readInto: (target, offset, part) => {
      checkInside({ name: path, size }, offset, target.length, part);
      for (let done = 0; done < target.length; ) {
        const count = readSync(fd, target, done, Math.min(target.length - done, READ_MAX), offset + done);
        if (count === 0) throw new BootError(`${path} shrank while it was being read: start the VM again`);
        done += count;
      }
    },
    close: () => close(fd),
  };
}

/** A copy of `length` bytes at `offset`. */
export function readBytes(image: ImageFile, offset: number, length: number, part: string): Buffer {
  checkInside(image, offset, length, part);
  const bytes = Buffer.alloc(length);
  image.readInto(bytes, offset, part);
  return bytes;
}

/**
 * Offsets and lengths may have any value of a 64-bit header field: as doubles they don't wrap around.
 * @throws BootError unless all of [offset, offset + length) is in the file.
 */
export function checkInside(
  { name, size }: Pick<ImageFile, 'name' | 'size'>,
  offset: number,
  length: number,
  part: string,
): void {
  const missing = offset + length - size;
  if (missing <= 0) return;
  throw new BootError(
    `${name} is truncated: its ${part} extends to byte ${offset + length}, but the file has only ${size} bytes ` +
      `(${missing} missing); copy or build it again`,
  );
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied: make it readable for the user who runs vring';
  return message;
}
