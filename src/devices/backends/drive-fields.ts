import { bootFields } from '../boot-device.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import type { Zod } from '../zod.ts';
import { diskFields } from './disk.ts';

/** The largest physical block size that a disk reports. */
const MAX_PHYSICAL_BLOCK = 4096;

/** A string that a drive reports about itself, with the maximum length in characters. */
export function identityText(z: Zod, most: number) {
  return z
    .string()
    .regex(new RegExp(`^[\\x20-\\x7e]{1,${most}}$`), `1 to ${most} printable ASCII characters`)
    .optional();
}

/** A world-wide name of 64 bits (NAA). */
export function worldWideName(z: Zod) {
  return z
    .string()
    .regex(/^0x[0-9a-f]{1,16}$/i, 'an identifier such as 0x5000c50015ea71ac')
    .optional();
}

export function rotationRate(z: Zod) {
  return z
    .int()
    .min(0, 'a number from 0 to 65534')
    .max(65534, 'a number from 0 to 65534')
    .default(0)
    .describe('revolutions per minute; 1 for a disk that does not rotate, 0 for unknown');
}

/** The options of a drive whose medium is a CD, or that has none. */
export function cdFields(z: Zod) {
  const { path, readonly: _, ...fields } = diskFields(z);
  return {
    ...fields,
    ...bootFields(z),
    path: path.optional().describe('the file or block device on the host (default: none: an empty drive)'),
    readonly: z
      .literal(true, 'a CD cannot be written')
      .default(true)
      .describe('always: the guest cannot write to it'),
  };
}

/**
 * The physical block size of the medium, in bytes: a power of two, from the logical size to the largest that disks
 * report.
 */
export function physicalBlock(logical: number, disk: Pick<BlockBackend, 'blockSize'> | null): number {
  const ofHost = 2 ** Math.floor(Math.log2(Math.max(1, disk?.blockSize ?? logical)));
  return Math.max(logical, Math.min(MAX_PHYSICAL_BLOCK, ofHost));
}
