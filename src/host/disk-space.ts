import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

export type DiskSpace = {
  readonly path: string;
  readonly totalBytes: number;
  /** Bytes that users other than root may still write. */
  readonly availableBytes: number;
};

/** The space on the file system of a folder, which need not exist yet; null if not known. */
export function diskSpace(folder: string): DiskSpace | null {
  let there = folder;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    const { bsize, blocks, bavail } = statfsSync(there);
    return { path: folder, totalBytes: blocks * bsize, availableBytes: bavail * bsize };
  } catch {
    return null;
  }
}
