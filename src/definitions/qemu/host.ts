import { existsSync, statfsSync, statSync } from 'node:fs';
import { readLimited } from '../../text/read-limited.ts';
import { BootError } from '../../vmm/boot/boot-error.ts';
import { needsBios } from '../../vmm/boot/bzimage.ts';
import { type ImageFile, openImage, readBytes } from '../../vmm/boot/image-file.ts';
import { isMultiboot } from '../../vmm/boot/load-kernel.ts';
import { seenFormat } from '../create/image-info.ts';
import { MAX_CONFIG_BYTES } from './config-file.ts';
import { OptionError } from './error.ts';

/** What reading QEMU's options needs to know about the host. */
export type QemuHost = {
  /** The folder that relative paths are relative to. */
  readonly cwd: string;
  /** The format that a file appears to have, for a drive without format=; null if unknown. */
  readonly imageFormat?: (file: string) => string | null;
  /** Whether a kernel can only be started by firmware, in real mode. */
  readonly needsBios?: (kernel: string) => boolean;
  /** Whether there is such a file. Default: all named files exist. */
  readonly exists?: (file: string) => boolean;
  /** The size of a file in bytes; null if it is not a file. */
  readonly fileSize?: (file: string) => number | null;
  /** The text of a file of -readconfig. @throws OptionError */
  readonly configText?: (file: string) => string;
  /** Whether a kernel takes modules instead of an initrd. */
  readonly isMultiboot?: (kernel: string) => boolean;
  /** The page size of a hugetlbfs in bytes; null for another file system, undefined if the path does not exist. */
  readonly hugepageSize?: (path: string) => number | null | undefined;
};

/** Enough for the setup header of a bzImage. */
const KERNEL_HEAD = 1024;
/** linux/magic.h */
const HUGETLBFS_MAGIC = 0x9584_58f6;

/** This host, and the working directory. */
export function thisHost(): QemuHost {
  return {
    cwd: process.cwd(),
    imageFormat: seenFormat,
    isMultiboot: kernel => withKernel(kernel, isMultiboot),
    needsBios: kernelNeedsBios,
    exists: existsSync,
    configText,
    fileSize,
    hugepageSize,
  };
}

/** Whether firmware has to start a kernel. */
export function kernelNeedsBios(file: string): boolean {
  return withKernel(file, kernel =>
    needsBios(readBytes(kernel, 0, Math.min(kernel.size, KERNEL_HEAD), 'header')),
  );
}

function fileSize(file: string): number | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.isFile() ? stat.size : null;
}

/** @throws OptionError */
function configText(file: string): string {
  try {
    return readLimited(file, file, MAX_CONFIG_BYTES);
  } catch (error) {
    throw new OptionError(
      `${error instanceof Error ? error.message : error}: write its options on the command line`,
    );
  }
}

/** A kernel that cannot be read is reported when the VM starts. */
function withKernel(file: string, look: (kernel: ImageFile) => boolean): boolean {
  try {
    const kernel = openImage(file, 'kernel');
    try {
      return look(kernel);
    } finally {
      kernel.close();
    }
  } catch (error) {
    if (error instanceof BootError) return false;
    throw error;
  }
}

function hugepageSize(path: string): number | null | undefined {
  try {
    const { type, bsize } = statfsSync(path);
    return type === HUGETLBFS_MAGIC ? bsize : null;
  } catch {
    return undefined;
  }
}
