import { dirname, isAbsolute, join } from 'node:path';
import type { ImageFormat } from '../../devices/backends/disk.ts';
import { shellText } from '../../text/shell.ts';
import { inspectQcow2, type Qcow2Header } from '../native/qcow2-header.ts';
import { DiskError } from './disk-error.ts';

/** Most files of an image: itself and its backing files. */
export const MAX_CHAIN = 200;

/** A backing file of a disk's image, open for reading. */
export type BackingFile = {
  readonly fd: number;
  readonly path: string;
  readonly format: ImageFormat;
};

/** Names that QEMU takes for protocols rather than files. */
const PROTOCOL = /^[A-Za-z0-9+.-]+:/;

type Opened = { readonly fd: number /** Of `fileIdentity`. */; readonly file: string };

export type ChainOptions = {
  /** The image and its open file. */
  readonly path: string;
  readonly fd: number;
  readonly file: string;
  readonly readonly: boolean;
  /** The format was probed, not declared: the guest may have written the qcow2 header. */
  readonly isProbed: boolean;
  /** Opens and locks a file of the chain for reading. @throws DiskError */
  readonly open: (path: string) => Opened;
  /** The format that the content of an open file indicates. */
  readonly probe: (fd: number, path: string) => string;
};

export type ImageChain = {
  /** Bytes of the disk. */
  readonly size: number;
  readonly backing: readonly BackingFile[];
};

/**
 * Reads the header of a qcow2 image and opens its backing files. No guest can choose any of them: an image that was
 * only probed has no backing file, and neither has one that an image names without its format.
 * @param close closes an fd that `open` has opened
 * @throws DiskError; nothing is left open then
 */
export function openChain(options: ChainOptions, close: (fd: number) => void): ImageChain {
  const header = headerOf(options.fd, options.path, options.readonly);
  if (header.backingFile !== null && options.isProbed) {
    throw new DiskError(
      `disk ${options.path} looks like qcow2 with the backing file ${header.backingFile}, which its guest may have written there: ` +
        'set format=qcow2 if it is such an image, or format=raw if it is a raw disk',
    );
  }
  const backing: BackingFile[] = [];
  const files = [options.file];
  try {
    let above = { path: options.path, header };
    while (above.header?.backingFile) {
      const next = openBacking(above.path, above.header, options);
      backing.push(next);
      if (files.includes(next.file)) {
        throw new DiskError(
          `disk ${options.path}: its chain of backing files has a loop: it returns to ${next.path}`,
        );
      }
      files.push(next.file);
      if (files.length > MAX_CHAIN) {
        throw new DiskError(`disk ${options.path} has more than ${MAX_CHAIN - 1} backing files`);
      }
      above = { path: next.path, header: next.header as Qcow2Header };
    }
  } catch (error) {
    for (const { fd } of backing) close(fd);
    throw error;
  }
  return {
    size: sizeOf(header, options.path),
    backing: backing.map(({ fd, path, format }) => ({ fd, path, format })),
  };

  function openBacking(
    above: string,
    { backingFile, backingFormat }: Qcow2Header,
    { open, probe }: ChainOptions,
  ): BackingFile & { readonly file: string; readonly header: Qcow2Header | null } {
    const path = backingPath(above, backingFile!);
    let opened: Opened;
    try {
      opened = open(path);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      throw new DiskError(`the backing file of ${above}: ${error.message}`);
    }
    const { fd, file } = opened;
    try {
      const format = backingFormat ?? probe(fd, path);
      if (format !== 'raw' && format !== 'qcow2') {
        throw new DiskError(
          `${above} is backed by ${path}, whose format ${format} is not supported: convert it`,
        );
      }
      const header = format === 'qcow2' ? headerOf(fd, path, true) : null;
      if (backingFormat === null && header !== null && header.backingFile !== null) {
        const rebase = shellText([
          'vring',
          'image',
          'rebase',
          '--unsafe',
          above,
          '--backing',
          backingFile!,
          '--backing-format',
          'qcow2',
        ]);
        throw new DiskError(
          `${above} does not say which format its backing file ${path} has, which looks like qcow2 with another backing file: ` +
            `if it is, say so with \`${rebase}\``,
        );
      }
      return { fd, path, format, file, header };
    } catch (error) {
      close(fd);
      throw error;
    }
  }
}

/** @throws DiskError */
function headerOf(fd: number, path: string, readonly: boolean): Qcow2Header {
  const header = inspectQcow2(fd);
  if ('error' in header) throw new DiskError(`disk ${path} is not a usable qcow2 image: ${header.error}`);
  const refusal = readonly ? header.refusedReadonly : header.refused;
  if (refusal !== null)
    throw new DiskError(`disk ${path} cannot be used: ${refusal}${adviceFor(header, path)}`);
  return header;
}

function adviceFor(header: Qcow2Header, path: string): string {
  if (header.refusedReadonly === null)
    return `; repair it with \`${shellText(['vring', 'image', 'check', '--repair', path])}\`, or attach it read-only`;
  return `; convert it with \`${shellText(['qemu-img', 'convert', '-O', 'qcow2', path, `${path}.new`])}\``;
}

function sizeOf({ size }: Qcow2Header, path: string): number {
  const bytes = Number(size);
  if (!Number.isSafeInteger(bytes)) throw new DiskError(`disk ${path} has ${size} bytes: that is too large`);
  return bytes;
}

/**
 * The path of a backing file that the image `above` names: relative names start at that image's folder.
 * @throws DiskError if it is not a file of this host
 */
export function backingPath(above: string, name: string): string {
  const path = name.startsWith('file:') ? name.slice('file:'.length) : name;
  // As QEMU parses names: a colon before the first slash ends a protocol.
  if (name.startsWith('json:') || PROTOCOL.test(path))
    throw new DiskError(`${above} is backed by ${name}, which is not a file of this host: copy it to a file`);
  return isAbsolute(path) ? path : join(dirname(above), path);
}
