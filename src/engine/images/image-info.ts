import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { codeText } from '../../text/errno.ts';
import { backingPath } from '../../vmm/backends/image-chain.ts';
import { probeFormat } from '../../vmm/backends/image-format.ts';
import { inspectQcow2, type Qcow2Header } from '../../vmm/native/qcow2-header.ts';
import { ImageError, qemuImg } from './qemu-img.ts';

/** An image file as screens and commands show it. Sizes in bytes. */
export type ImageFacts = {
  readonly path: string;
  /** As `qemu-img` calls it. */
  readonly format: string;
  /** Of the disk in it; null if not known. */
  readonly size: number | null;
  /** On disk. */
  readonly allocated: number;
  readonly isBlockDevice: boolean;
  /** Its backing files, the next one first, as far as they exist. */
  readonly backing: readonly { readonly path: string; readonly format: string | null }[];
  /** Of a qcow2 image. */
  readonly snapshots: Qcow2Header['snapshots'];
  /** Its problems, a clause each. */
  readonly problems: readonly string[];
  readonly details: Readonly<Record<string, string | number | boolean>>;
};

const MAX_BACKING = 200;

/** Reads the facts about an image. @param format as given by the user; default: probed. @throws ImageError */
export async function imageFacts(file: string, format?: string): Promise<ImageFacts> {
  const fd = opened(file);
  try {
    const stats = fstatSync(fd);
    const isBlockDevice = stats.isBlockDevice();
    const bytes = isBlockDevice ? await deviceBytes(file) : stats.size;
    const found = format ?? probeFormat((offset, length) => read(fd, offset, length), bytes);
    const common = { path: file, isBlockDevice, allocated: isBlockDevice ? bytes : stats.blocks * 512 };
    if (found === 'qcow2') return { ...common, ...qcow2Facts(fd, file) };
    const raw = { format: found, backing: [], snapshots: [], problems: [], details: {} };
    if (found === 'raw') return { ...common, ...raw, size: bytes };
    return { ...common, ...raw, size: await sizeByQemuImg(file, found) };
  } finally {
    closeSync(fd);
  }
}

function opened(file: string): number {
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (stats.isFile() || stats.isBlockDevice()) return fd;
    closeSync(fd);
  } catch (error) {
    throw new ImageError(`${file} cannot be opened: ${codeText((error as NodeJS.ErrnoException).code)}`);
  }
  throw new ImageError(`${file} is neither a file nor a block device`);
}

function read(fd: number, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
}

function qcow2Facts(
  fd: number,
  file: string,
): Pick<ImageFacts, 'format' | 'size' | 'backing' | 'snapshots' | 'problems' | 'details'> {
  const header = inspectQcow2(fd);
  if ('error' in header)
    return { format: 'qcow2', size: null, backing: [], snapshots: [], problems: [header.error], details: {} };
  const { files, problem } = backingFiles(file, header);
  return {
    format: 'qcow2',
    size: Number(header.size),
    backing: files,
    snapshots: header.snapshots,
    problems: [header.refusedReadonly ?? header.refused, problem].filter(problem => problem !== null),
    details: {
      version: header.version,
      clusterSize: header.clusterSize,
      refcountBits: header.refcountBits,
      compression: header.compression,
      lazyRefcounts: header.lazyRefcounts,
      dirty: header.dirty,
      corrupt: header.corrupt,
    },
  };
}

/** The backing chain as the headers name it, opened read-only. */
function backingFiles(
  file: string,
  header: Qcow2Header,
): { files: ImageFacts['backing']; problem: string | null } {
  const files: { path: string; format: string | null }[] = [];
  let above = { file, header };
  while (above.header.backingFile !== null) {
    let next: string;
    try {
      next = backingPath(above.file, above.header.backingFile);
    } catch (error) {
      return { files, problem: (error as Error).message };
    }
    const isKnown = files.some(({ path }) => path === next) || path.resolve(next) === path.resolve(file);
    if (isKnown || files.length === MAX_BACKING)
      return { files, problem: `its chain of backing files has a loop: it returns to ${next}` };
    const format = above.header.backingFormat;
    files.push({ path: next, format });
    if (format !== 'qcow2') return { files, problem: whyNotThere(next) };
    let fd: number;
    try {
      fd = opened(next);
    } catch (error) {
      return { files, problem: `its backing file ${(error as Error).message}` };
    }
    try {
      const below = inspectQcow2(fd);
      if ('error' in below) return { files, problem: `its backing file ${next} is damaged: ${below.error}` };
      above = { file: next, header: below };
    } finally {
      closeSync(fd);
    }
  }
  return { files, problem: null };
}

function whyNotThere(file: string): string | null {
  try {
    closeSync(opened(file));
    return null;
  } catch (error) {
    return `its backing file ${(error as Error).message}`;
  }
}

async function deviceBytes(file: string): Promise<number> {
  const { stdout } = await qemuImg(`measuring ${file}`, ['info', '-f', 'raw', '--output=json', file]);
  return Number((JSON.parse(stdout) as Record<string, unknown>)['virtual-size']);
}

async function sizeByQemuImg(file: string, format: string): Promise<number | null> {
  const driver = format === 'vhd' ? 'vpc' : format;
  try {
    const { stdout } = await qemuImg(`reading ${file}`, ['info', '-U', '-f', driver, '--output=json', file]);
    return Number((JSON.parse(stdout) as Record<string, unknown>)['virtual-size']);
  } catch {
    return null;
  }
}
