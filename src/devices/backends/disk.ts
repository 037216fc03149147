import type { Zod } from '../zod.ts';
import type { BackendType } from './backend-type.ts';

/** The image formats that a disk's content may have. */
export const diskBackends = [
  {
    kind: 'disk',
    type: 'raw',
    title: 'raw image',
    description: "a file with the disk's bytes, or a block device of the host",
  },
] as const satisfies readonly BackendType[];

export type DiskFormat = (typeof diskBackends)[number]['type'];

/**
 * As in QEMU: `writeback` uses the host's page cache, which a flush writes out; `none` bypasses it if possible (O_DIRECT).
 */
export type DiskCache = 'writeback' | 'none';

export type DiskOptions = {
  readonly path: string;
  /** Absent if the user hasn't set it: then the content is probed, and only opened if it looks raw. */
  readonly format?: DiskFormat | undefined;
  readonly readonly: boolean;
  readonly cache: DiskCache;
};

/** The options of a device that concern its disk. */
export function diskFields(z: Zod) {
  return {
    /** The file or block device on the host. */
    path: z.string().min(1, 'the path of the disk is empty'),
    /** Its format. If absent, the content is probed, and refused if it looks like anything but a raw disk. */
    format: z.enum(diskBackends.map(({ type }) => type) as [DiskFormat]).optional(),
    readonly: z.boolean().default(false),
    /** Whether to use or bypass the host's page cache. */
    cache: z.enum(['writeback', 'none']).default('writeback'),
  };
}
