const SECTOR = 512;
const MiB = 2 ** 20;
/** The first entry of the partition table, in the boot sector; code ends before it. */
const TABLE = 446;
const ENTRY = 16;
const CODE = 440;
const ACTIVE = 0x80;

/** MBR partition types. */
export const PARTITION = { linux: 0x83, efiSystem: 0xef } as const;

export type Partition = { readonly type: number; readonly content: Uint8Array };

/**
 * The image of a disk with GRUB for BIOS: the boot sector with its partition table, GRUB's core after it, and the
 * partitions from 1 MiB on, of which the first one is active.
 */
export function bootDiskOf(sector: Uint8Array, core: Uint8Array, partitions: readonly Partition[]): Buffer {
  if (SECTOR + core.length > MiB) throw new Error(`GRUB has ${core.length} bytes: too many`);
  const disk = Buffer.alloc(partitions.reduce((size, { content }) => size + roundUp(content.length), MiB));
  disk.set(sector.subarray(0, CODE));
  disk.set(core, SECTOR);
  let start = MiB;
  for (const [index, { type, content }] of partitions.entries()) {
    const at = TABLE + index * ENTRY;
    disk[at] = index === 0 ? ACTIVE : 0;
    disk[at + 4] = type;
    disk.writeUInt32LE(start / SECTOR, at + 8);
    disk.writeUInt32LE(roundUp(content.length) / SECTOR, at + 12);
    disk.set(content, start);
    start += roundUp(content.length);
  }
  disk.writeUInt16LE(0xaa55, SECTOR - 2);
  return disk;
}

const roundUp = (bytes: number) => Math.ceil(bytes / MiB) * MiB;
