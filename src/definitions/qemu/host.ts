import { statfsSync } from 'node:fs';
import { BootError } from '../../vmm/boot/boot-error.ts';
import { openImage } from '../../vmm/boot/image-file.ts';
import { isMultiboot } from '../../vmm/boot/load-kernel.ts';
import { seenFormat } from '../create/image-info.ts';

/** What of the host the reading of QEMU's options may ask for. */
export type QemuHost = {
  /** The folder that relative paths are meant in. */
  readonly cwd: string;
  /** What a file seems to hold, for a drive whose format is not given; null when that can't be told. */
  readonly imageFormat?: (file: string) => string | null;
  /** Whether a kernel takes modules in place of an initrd. */
  readonly isMultiboot?: (kernel: string) => boolean;
  /** The bytes of the pages of a hugetlbfs; null for another file system, undefined when there is no such path. */
  readonly hugepageSize?: (path: string) => number | null | undefined;
};

/** linux/magic.h */
const HUGETLBFS_MAGIC = 0x9584_58f6;

/** This host, and the folder that the program was started in. */
export function thisHost(): QemuHost {
  return {
    cwd: process.cwd(),
    imageFormat: seenFormat,
    isMultiboot: kernelIsMultiboot,
    hugepageSize,
  };
}

/** A kernel that can't be read is for the start to name. */
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
