import type { FolderFormat } from '../../../devices/backends/disk.ts';

/**
 * FAT file systems, as Microsoft's "FAT: General Overview of On-Disk Format" (version 1.03) defines them, on the disks
 * that QEMU makes of folders (block/vvfat.c): 504 MiB with one partition, or a floppy disk.
 */

export const SECTOR = 512;
/** Copies of the FAT. */
export const FATS = 2;
/** The first clusters that a FAT describes have the numbers 0 and 1, and no data. */
export const FIRST_CLUSTER = 2;

/** Sectors where there is no other unit. */
export type Volume = {
  readonly bits: 12 | 16 | 32;
  /** Of the whole disk. */
  readonly diskSectors: number;
  /** Where the file system begins: after the partition table, if there is one. */
  readonly start: number;
  readonly sectors: number;
  readonly clusterSectors: number;
  /** Before the first FAT. */
  readonly reserved: number;
  readonly fatSectors: number;
  /** Entries of the root directory; 0 on FAT32, where it is in clusters. */
  readonly rootEntries: number;
  readonly clusters: number;
  readonly heads: number;
  readonly trackSectors: number;
};

/** The place for its data, from the start of the disk. */
export function clusterSector(
  { start, reserved, fatSectors, rootEntries, clusterSectors }: Volume,
  cluster: number,
) {
  const data = start + reserved + FATS * fatSectors + rootSectors(rootEntries);
  return data + (cluster - FIRST_CLUSTER) * clusterSectors;
}

function rootSectors(entries: number): number {
  return Math.ceil((entries * 32) / SECTOR);
}

type Shape = Omit<Volume, 'fatSectors' | 'clusters' | 'sectors'>;

function volume(shape: Shape): Volume {
  const { bits, diskSectors, start, clusterSectors, reserved, rootEntries } = shape;
  const sectors = diskSectors - start;
  const clustersIn = (rest: number) => Math.floor(rest / clusterSectors);
  const rest = sectors - reserved - rootSectors(rootEntries);
  // Enough for the clusters that there would be if the FATs themselves took no space.
  const fatSectors = Math.ceil(((clustersIn(rest) + FIRST_CLUSTER) * bits) / 8 / SECTOR);
  return { ...shape, sectors, fatSectors, clusters: clustersIn(rest - FATS * fatSectors) };
}

const HEADS = 16;
const TRACK = 63;
const CYLINDERS = 1024;
/** Entries of a root directory, a multiple of 16. */
const ROOT_ENTRIES = 512;
const MAX_ROOT_ENTRIES = 65520;
/** FAT32 has its boot sector, a copy of it, and how much is free. */
const FAT32_RESERVED = 32;
/** A FAT32 with fewer clusters would be taken for a FAT16. */
const MIN_FAT32 = 65525;
/** Sectors: disks of 8 MiB steps are a multiple of every card's and drive's unit. */
const STEP = 16384;

const HARD_DISK = { start: TRACK, heads: HEADS, trackSectors: TRACK } as const;
const FLOPPY = { bits: 12, start: 0, reserved: 1, heads: 2 } as const;

/**
 * The volumes of a format, the preferred one first.
 * @param need sectors of data; the free space of a FAT32 comes on top of them
 */
export function volumesOf(format: FolderFormat, rootEntries: number, need: number): Volume[] {
  const root = (least: number) =>
    Math.min(MAX_ROOT_ENTRIES, Math.max(least, Math.ceil(rootEntries / 16) * 16));
  if (format === 'fat-floppy') {
    return [
      volume({ ...FLOPPY, diskSectors: 2880, clusterSectors: 1, rootEntries: root(224), trackSectors: 18 }),
      volume({ ...FLOPPY, diskSectors: 5760, clusterSectors: 2, rootEntries: root(240), trackSectors: 36 }),
    ];
  }
  const fat16 = volume({
    ...HARD_DISK,
    bits: 16,
    diskSectors: CYLINDERS * HEADS * TRACK,
    clusterSectors: 16,
    reserved: 1,
    rootEntries: root(ROOT_ENTRIES),
  });
  const clusterSectors = 8;
  const free = fat16.diskSectors / 8;
  const sectors = Math.max(fat16.diskSectors, MIN_FAT32 * clusterSectors, need + free);
  const fat32 = volume({
    ...HARD_DISK,
    bits: 32,
    // The FATs take a little more than 2 of 1000.
    diskSectors: Math.ceil((sectors * 1.01) / STEP) * STEP,
    clusterSectors,
    reserved: FAT32_RESERVED,
    rootEntries: 0,
  });
  return format === 'fat32' ? [fat32] : [fat16, fat32];
}

/** INT 18h tells a BIOS to try the next disk; CLI and HLT where it returns. */
const NOT_BOOTABLE = Buffer.from([0xcd, 0x18, 0xfa, 0xf4]);
const BOOT_SIGNATURE = 0xaa55;

/** Sectors with what they contain. */
export type Placed = { readonly sector: number; readonly bytes: Buffer };

/**
 * The sectors before the FATs.
 * @param used clusters
 */
export function headSectors(volume: Volume, name: VolumeName, used: number): Placed[] {
  const { start, bits } = volume;
  const boot = { sector: start, bytes: bootSector(volume, name) };
  const partitions = start === 0 ? [] : [{ sector: 0, bytes: partitionTable(volume, name) }];
  if (bits !== 32) return [...partitions, boot];
  const info = fsInfo(volume, used);
  const copies = [
    { sector: start + FAT32.info, bytes: info },
    { sector: start + FAT32.backup, bytes: boot.bytes },
    { sector: start + FAT32.backup + FAT32.info, bytes: info },
  ];
  return [...partitions, boot, ...copies];
}

/** Sectors from the start of a FAT32, and the first cluster of its root directory. */
const FAT32 = { info: 1, backup: 6, root: FIRST_CLUSTER } as const;

/** How guests tell volumes apart. */
export type VolumeName = {
  /** Of the volume and of the disk. */
  readonly id: number;
  /** At most 11 characters. */
  readonly label?: string | undefined;
};

const LABEL = 'VRING';

/** A label as it is stored. */
export function labelOf({ label = LABEL }: VolumeName): string {
  return label.padEnd(11);
}

export function mediaByte({ start }: Volume): number {
  return start === 0 ? 0xf0 : 0xf8;
}

function bootSector(volume: Volume, name: VolumeName): Buffer {
  const { bits, sectors, start } = volume;
  const sector = Buffer.alloc(SECTOR);
  const code = bits === 32 ? 0x5a : 0x3e;
  sector.set([0xeb, code - 2, 0x90]);
  sector.write('MSWIN4.1', 3, 'latin1');
  sector.writeUInt16LE(SECTOR, 11);
  sector[13] = volume.clusterSectors;
  sector.writeUInt16LE(volume.reserved, 14);
  sector[16] = FATS;
  sector.writeUInt16LE(volume.rootEntries, 17);
  const isSmall = sectors < 2 ** 16 && bits !== 32;
  sector.writeUInt16LE(isSmall ? sectors : 0, 19);
  sector[21] = mediaByte(volume);
  sector.writeUInt16LE(bits === 32 ? 0 : volume.fatSectors, 22);
  sector.writeUInt16LE(volume.trackSectors, 24);
  sector.writeUInt16LE(volume.heads, 26);
  sector.writeUInt32LE(start, 28);
  sector.writeUInt32LE(isSmall ? 0 : sectors, 32);
  if (bits === 32) {
    sector.writeUInt32LE(volume.fatSectors, 36);
    sector.writeUInt32LE(FAT32.root, 44);
    sector.writeUInt16LE(FAT32.info, 48);
    sector.writeUInt16LE(FAT32.backup, 50);
  }
  const at = bits === 32 ? 64 : 36;
  sector[at] = start === 0 ? 0 : 0x80;
  sector[at + 2] = 0x29;
  sector.writeUInt32LE(name.id, at + 3);
  sector.write(labelOf(name), at + 7, 'latin1');
  sector.write(`FAT${bits}   `, at + 18, 'latin1');
  NOT_BOOTABLE.copy(sector, code);
  sector.writeUInt16LE(BOOT_SIGNATURE, SECTOR - 2);
  return sector;
}

function fsInfo({ clusters }: Volume, used: number): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.write('RRaA', 0, 'latin1');
  sector.write('rrAa', 484, 'latin1');
  sector.writeUInt32LE(clusters - used, 488);
  sector.writeUInt32LE(FIRST_CLUSTER + used - 1, 492);
  sector.writeUInt16LE(BOOT_SIGNATURE, SECTOR - 2);
  return sector;
}

/** Partition types: FAT16 of 32 MiB and more, and FAT32, both addressed by block. */
const PARTITION_TYPES = { 12: 0x01, 16: 0x0e, 32: 0x0c } as const;

function partitionTable(volume: Volume, { id }: VolumeName): Buffer {
  const { start, sectors, bits } = volume;
  const sector = Buffer.alloc(SECTOR);
  NOT_BOOTABLE.copy(sector, 0);
  sector.writeUInt32LE(id, 440);
  const entry = 446;
  sector[entry] = 0x80;
  sector.set(cylinderHeadSector(volume, start), entry + 1);
  sector[entry + 4] = PARTITION_TYPES[bits];
  sector.set(cylinderHeadSector(volume, start + sectors - 1), entry + 5);
  sector.writeUInt32LE(start, entry + 8);
  sector.writeUInt32LE(sectors, entry + 12);
  sector.writeUInt16LE(BOOT_SIGNATURE, SECTOR - 2);
  return sector;
}

/** In three bytes; the last address that there is for sectors beyond it. */
function cylinderHeadSector({ heads, trackSectors }: Volume, sector: number): number[] {
  const cylinder = Math.floor(sector / (heads * trackSectors));
  if (cylinder >= CYLINDERS) return [0xfe, 0xff, 0xff];
  const head = Math.floor(sector / trackSectors) % heads;
  return [head, ((cylinder >> 2) & 0xc0) | ((sector % trackSectors) + 1), cylinder & 0xff];
}
