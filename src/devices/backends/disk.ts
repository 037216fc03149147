import type * as z from 'zod';
import { bytes } from '../../text/units.ts';
import type { DeviceState } from '../device.ts';
import { DeviceStateError, numberOf } from '../state.ts';
import type { Zod } from '../zod.ts';
import type { BackendType } from './backend-type.ts';

/** What a disk may be made of: an image in one of two formats, or a folder. */
export const diskBackends = [
  {
    kind: 'disk',
    type: 'raw',
    title: 'raw image',
    description: "a file with the disk's bytes, or a block device of the host",
  },
  {
    kind: 'disk',
    type: 'qcow2',
    title: 'qcow2 image',
    description:
      "QEMU's format: takes the space that its guest has written, and may have backing files, compressed " +
      'clusters and snapshots',
  },
  {
    kind: 'disk',
    type: 'fat',
    title: 'folder',
    description:
      'a FAT partition with the files that a folder has when the VM starts: FAT16 if they fit in 504 MiB, ' +
      'else FAT32; read-only or transient',
  },
  { kind: 'disk', type: 'fat32', title: 'folder', description: 'the same, always as FAT32' },
  {
    kind: 'disk',
    type: 'fat-floppy',
    title: 'folder',
    description: 'the same as a floppy disk of 1.44 or 2.88 MB, FAT12 without a partition table',
  },
] as const satisfies readonly BackendType[];

/** What a disk may be declared as. */
export type DiskFormat = (typeof diskBackends)[number]['type'];
/** The format of an image. */
export type ImageFormat = Extract<DiskFormat, 'raw' | 'qcow2'>;
/** The file system that a folder becomes. */
export type FolderFormat = Exclude<DiskFormat, ImageFormat>;

export const diskFormats = diskBackends.map(({ type }) => type) as [DiskFormat, ...DiskFormat[]];
export const imageFormats = ['raw', 'qcow2'] as const satisfies readonly ImageFormat[];

const folderFormats: readonly unknown[] = ['fat', 'fat32', 'fat-floppy'] satisfies readonly FolderFormat[];

/** Whether a disk is made of a folder when it is opened, so that no file of the host has what its guest writes. */
export function isFolder(format: unknown): format is FolderFormat {
  return folderFormats.includes(format);
}

/**
 * As in QEMU: `writeback` uses the host's page cache, which a flush writes out; `none` bypasses it if possible
 * (O_DIRECT). `writethrough` and `directsync` are the same, with every write durable when it completes; `unsafe` is
 * `writeback` without flushes.
 */
export const diskCaches = ['writeback', 'none', 'writethrough', 'directsync', 'unsafe'] as const;
export type DiskCache = (typeof diskCaches)[number];

/** Whether requests bypass the host's page cache. */
export function isUncached(cache: DiskCache): boolean {
  return cache === 'none' || cache === 'directsync';
}

/**
 * What happens when a request fails on the host, as in QEMU: the guest gets an error or none, or the VM is paused and
 * the request retried when it is resumed; `enospc`: paused if the host has no space left, else an error.
 */
export const diskErrorActions = ['report', 'ignore', 'stop', 'enospc'] as const;
export type DiskErrorAction = (typeof diskErrorActions)[number];

export type DiskErrorPolicy = {
  readonly rerror: Exclude<DiskErrorAction, 'enospc'>;
  readonly werror: DiskErrorAction;
};
/**
 * Whether requests that failed this way wait for the VM to be resumed. `errno`: 0 for a file that has become shorter.
 */
export function isHeld({ rerror, werror }: DiskErrorPolicy, access: string, errno: number): boolean {
  const action = access === 'read' ? rerror : werror;
  return action === 'stop' || (action === 'enospc' && NO_SPACE.includes(errno));
}

/** ENOSPC and EDQUOT. */
const NO_SPACE: readonly number[] = [28, 122];

/** Requests that failed on the host's disk for the same reason. */
export type DiskErrors = {
  readonly access: 'read' | 'write' | 'flush' | 'discard' | 'write-zeroes';
  /** 0 if the file ended before the disk's last sector. */
  readonly errno: number;
  /** Where the first one failed. */
  readonly sector: number;
  /** The number of requests. */
  readonly count: number;
  /** The index of the disk among the queue's disks; 0 if it has one. */
  readonly disk: number;
};

/** QEMU's defaults. */
export const defaultErrorPolicy: DiskErrorPolicy = { rerror: 'report', werror: 'enospc' };

/** The error policy that options set, with defaults for the rest. */
export function errorPolicyOf({
  rerror,
  werror,
}: Partial<{ [Key in keyof DiskErrorPolicy]: DiskErrorPolicy[Key] | undefined }>): DiskErrorPolicy {
  return { rerror: rerror ?? defaultErrorPolicy.rerror, werror: werror ?? defaultErrorPolicy.werror };
}

/**
 * How a write of nothing but zeros is handled: like any other; as zeroing the range; or as zeroing that also frees its
 * space, where discards do.
 */
export const zeroDetections = ['off', 'on', 'unmap'] as const;
export type ZeroDetection = (typeof zeroDetections)[number];

export type DiskOptions = {
  readonly path: string;
  /** Absent if the user hasn't set it: the content is probed, and a qcow2 image with a backing file is refused. */
  readonly format?: DiskFormat | undefined;
  readonly readonly: boolean;
  readonly cache: DiskCache;
  /** The label of the file system that a folder becomes; default: VRING. */
  readonly label?: string | undefined;
  /** Guest discards are ignored. */
  readonly keepsDiscarded?: boolean | undefined;
  readonly detectZeroes?: ZeroDetection | undefined;
  /** Guest writes go to a temporary file, and are lost when the VM ends; the file itself is only read. */
  readonly transient?: boolean | undefined;
  readonly policy?: DiskErrorPolicy | undefined;
};

/** Whether the guest can never change the disk's file. */
export function isOnlyRead({ readonly, transient }: Pick<DiskOptions, 'readonly' | 'transient'>): boolean {
  return readonly || transient === true;
}

/** The most that a disk's guest gets, over all its requests. Absent limits do not apply. */
export type DiskLimits = {
  /** Requests per second. */
  readonly iops?: number | undefined;
  /** The largest burst of requests after a pause; default: a tenth of a second's worth. */
  readonly 'iops-burst'?: number | undefined;
  /** Bytes per second, read or written. */
  readonly bps?: number | undefined;
  /** The largest burst of bytes after a pause; default: a tenth of a second's worth. */
  readonly 'bps-burst'?: number | undefined;
};

const MAX_RATE = 2 ** 50;

/** The schema of `DiskLimits`. */
export function diskLimits(z: Zod) {
  const rate = z.int().min(1, 'at least 1 per second').max(MAX_RATE, 'at most 2^50 per second').optional();
  return z
    .strictObject({ iops: rate, 'iops-burst': rate, bps: rate, 'bps-burst': rate })
    .superRefine(reportLimitsProblem);
}

/** Reports problems with limits to their schema. */
export function reportLimitsProblem(limits: DiskLimits, context: z.RefinementCtx): void {
  const problem = limitsProblem(limits);
  if (problem === null) return;
  const { key, message } = problem;
  context.addIssue({ code: 'custom', path: [key], message, input: limits[key] });
}

const RATES = ['iops', 'iops-burst', 'bps', 'bps-burst'] as const;

/** Limits as part of a device's state. */
export function savedLimits(limits: DiskLimits): DeviceState {
  return Object.fromEntries(RATES.flatMap(key => (limits[key] === undefined ? [] : [[key, limits[key]]])));
}

/** What `savedLimits` saved. @throws DeviceStateError */
export function limitsOf(state: DeviceState): DiskLimits {
  const given = RATES.filter(key => state[key] !== undefined);
  const limits: DiskLimits = Object.fromEntries(given.map(key => [key, numberOf(state, key, MAX_RATE)]));
  if (limitsProblem(limits) !== null || given.some(key => limits[key] === 0)) {
    throw new DeviceStateError('limits', 'limits');
  }
  return limits;
}

type LimitsProblem = { readonly key: keyof DiskLimits; readonly message: string };

/** What is wrong with limits whose rates are valid, or null. */
export function limitsProblem(limits: DiskLimits): LimitsProblem | null {
  for (const name of ['iops', 'bps'] as const) {
    const key = `${name}-burst` as const;
    const [limit, burst] = [limits[name], limits[key]];
    if (burst === undefined) continue;
    if (limit === undefined) return { key, message: `a burst needs a limit: give ${name}, too` };
    if (burst < limit) return { key, message: `a burst of less than ${name}: give at least as much` };
  }
  return null;
}

/** `500 requests/s in bursts of 2000, 50M/s`; `none` */
export function limitsText(limits: DiskLimits): string {
  const { iops, bps, 'iops-burst': iopsBurst, 'bps-burst': bpsBurst } = limits;
  const burst = (text: string | undefined) => (text === undefined ? '' : ` in bursts of ${text}`);
  const parts = [
    ...(iops === undefined ? [] : [`${iops} requests/s${burst(iopsBurst?.toString())}`]),
    ...(bps === undefined
      ? []
      : [`${bytes(bps)}/s${burst(bpsBurst === undefined ? undefined : bytes(bpsBurst))}`]),
  ];
  return parts.join(', ') || 'none';
}

/** The label of a FAT file system. */
export const FAT_LABEL = /^[A-Za-z0-9_-][A-Za-z0-9 _-]{0,10}$/;
export const FAT_LABEL_RULE = 'at most 11 letters, digits, spaces, "_" and "-"';

/** The options of a medium that is put into a drive. */
export function mediumFields(z: Zod) {
  const { path, format, cache } = diskFields(z);
  return { path, format, cache };
}

/** The options of a device that apply to its disk. */
export function diskFields(z: Zod) {
  return {
    path: z.string().min(1, 'the path of the disk is empty').describe('the file or block device on the host'),
    format: z
      .enum(diskFormats)
      .optional()
      .describe(
        'its format; if absent, the content must look like a raw disk, or like a qcow2 image without a backing ' +
          'file; fat, fat32 and fat-floppy make a disk of a folder, with readonly or transient',
      ),
    label: z
      .string()
      .regex(FAT_LABEL, FAT_LABEL_RULE)
      .optional()
      .describe('the label of the file system that a folder becomes (default: VRING)'),
    readonly: z.boolean().default(false).describe('the guest cannot write to it'),
    cache: z
      .enum(diskCaches)
      .default('writeback')
      .describe(
        "use the host's page cache, or bypass it (none, directsync); make every write durable (writethrough, " +
          'directsync), or none (unsafe)',
      ),
    discard: z
      .enum(['unmap', 'ignore'])
      .optional()
      .describe(
        'unmap returns the space that the guest discards to the host, ignore keeps it (default: unmap)',
      ),
    'detect-zeroes': z
      .enum(zeroDetections)
      .optional()
      .describe(
        'turn writes of zeros into zeroing the range (on), and also release its space (unmap, unless ' +
          'discard=ignore) (default: off)',
      ),
    rerror: z
      .enum(['report', 'ignore', 'stop'])
      .optional()
      .describe(
        'when the host fails to read: report an error to the guest, ignore it, or pause the VM (default: report)',
      ),
    werror: z
      .enum(diskErrorActions)
      .optional()
      .describe(
        'when the host fails to write: the same; enospc pauses the VM if no space is left, and reports other ' +
          'errors (default: enospc)',
      ),
    limits: diskLimits(z).optional().describe('the most that the guest gets of it, all queues together'),
    transient: z
      .boolean()
      .optional()
      .describe(
        'what the guest writes is gone when the VM ends: the file is only read, and may be shared by VMs that ' +
          'do the same',
      ),
  };
}

/** The options of `diskFields`, except limits, which may change. */
type DiskFieldOptions = Omit<DiskOptions, 'keepsDiscarded' | 'detectZeroes' | 'policy'> &
  Partial<{ [Key in keyof DiskErrorPolicy]: DiskErrorPolicy[Key] | undefined }> & {
    readonly discard?: 'unmap' | 'ignore' | undefined;
    readonly 'detect-zeroes'?: ZeroDetection | undefined;
  };

/** How a device with these options opens its disk. */
export function diskOptionsOf(options: DiskFieldOptions): DiskOptions {
  const { path, format, label, readonly, cache, discard, transient, 'detect-zeroes': detectZeroes } = options;
  return {
    ...{ path, format, readonly, cache },
    keepsDiscarded: discard === 'ignore',
    policy: errorPolicyOf(options),
    ...(transient && { transient }),
    ...(label !== undefined && { label }),
    ...(detectZeroes !== undefined && { detectZeroes }),
  };
}
