import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

export type DiskSpace = {
  readonly path: string;
  readonly totalBytes: number;
  /** What may still be written without being root. */
  readonly availableBytes: number;
};

/** The room on the file system that a folder is on, or would be; null where it can't be told. */
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
