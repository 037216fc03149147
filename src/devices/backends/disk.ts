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
    path: z.string().min(1, 'the path of the disk is empty').describe('the file or block device on the host'),
    format: z
      .enum(diskBackends.map(({ type }) => type) as [DiskFormat])
      .optional()
      .describe('its format; if absent, the content must look like a raw disk'),
    readonly: z.boolean().default(false).describe('the guest cannot write to it'),
    cache: z
      .enum(['writeback', 'none'])
      .default('writeback')
      .describe("use the host's page cache, or bypass it"),
  };
}
