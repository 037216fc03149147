import { statfsSync } from 'node:fs';
import { BootError } from '../../vmm/boot/boot-error.ts';
import { openImage } from '../../vmm/boot/image-file.ts';
import { isMultiboot } from '../../vmm/boot/load-kernel.ts';
import { seenFormat } from '../create/image-info.ts';

/** What reading QEMU's options needs to know about the host. */
export type QemuHost = {
  /** The folder that relative paths are relative to. */
  readonly cwd: string;
  /** The format that a file appears to have, for a drive without format=; null if unknown. */
  readonly imageFormat?: (file: string) => string | null;
  /** Whether a kernel takes modules instead of an initrd. */
  readonly isMultiboot?: (kernel: string) => boolean;
  /** The page size of a hugetlbfs in bytes; null for another file system, undefined if the path does not exist. */
  readonly hugepageSize?: (path: string) => number | null | undefined;
};

/** linux/magic.h */
const HUGETLBFS_MAGIC = 0x9584_58f6;

/** This host, and the working directory. */
export function thisHost(): QemuHost {
  return {
    cwd: process.cwd(),
    imageFormat: seenFormat,
    isMultiboot: kernelIsMultiboot,
    hugepageSize,
  };
}

/** The start reports a kernel that cannot be read. */
function kernelIsMultiboot(file: string): boolean {
  try {
    const kernel = openImage(file, 'kernel');
    try {
      return isMultiboot(kernel);
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
