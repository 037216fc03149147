import { bytes } from '../../../text/units.ts';

/** Data rates: values of the data rate select bits (82077AA data sheet, table 2-2). */
export const RATE = { kbps500: 0, kbps300: 1, kbps250: 2, mbps1: 3 } as const;

export type FloppyRate = (typeof RATE)[keyof typeof RATE];

/** The format of a medium: sectors of 512 bytes. */
export type FloppyFormat = {
  readonly sectors: number;
  readonly cylinders: number;
  readonly heads: 1 | 2;
  readonly rate: FloppyRate;
};

export const SECTOR_BYTES = 512;

/** The kinds of drives, by QEMU's names: 5.25 inches with 1.2 MB, 3.5 inches with 1.44 and with 2.88 MB. */
export const FLOPPY_DRIVES = ['120', '144', '288'] as const;

export type FloppyDriveKind = (typeof FLOPPY_DRIVES)[number];

type DriveFacts = {
  readonly title: string;
  /** Its value in CMOS RAM, for firmware. */
  readonly cmos: number;
  /** The formats that it reads and writes, beginning with the one assumed for a truncated image. */
  readonly formats: readonly FloppyFormat[];
};

const format = (
  rate: FloppyRate,
  sectors: number,
  cylinders = 80,
  heads: FloppyFormat['heads'] = 2,
): FloppyFormat => ({ sectors, cylinders, heads, rate });

/** 720 KiB to 1.12 MiB. */
const DOUBLE_DENSITY = [
  ...[9, 10, 13, 14].map(sectors => format(RATE.kbps250, sectors)),
  format(RATE.kbps250, 10, 82),
  format(RATE.kbps250, 10, 83),
];

/** 1.44 MiB, and what tools have squeezed onto it. */
const HIGH_DENSITY = [
  ...[18, 20, 21, 22, 23, 24].map(sectors => format(RATE.kbps500, sectors)),
  format(RATE.kbps500, 21, 82),
  format(RATE.kbps500, 21, 83),
];

const EXTRA_DENSITY = [36, 39, 40, 44, 48].map(sectors => format(RATE.mbps1, sectors));

export const floppyDrives: Readonly<Record<FloppyDriveKind, DriveFacts>> = {
  '120': {
    title: '5.25 inches, 1.2 MB',
    cmos: 2,
    formats: [
      format(RATE.kbps500, 15),
      format(RATE.kbps300, 9, 40),
      format(RATE.kbps300, 9, 40, 1),
      format(RATE.kbps250, 8, 40),
      format(RATE.kbps250, 8, 40, 1),
      format(RATE.kbps300, 10, 41),
      format(RATE.kbps300, 10, 42),
      format(RATE.kbps500, 18),
      format(RATE.kbps500, 18, 82),
      format(RATE.kbps500, 18, 83),
      format(RATE.kbps500, 20),
      format(RATE.kbps250, 9),
      format(RATE.kbps250, 11),
    ],
  },
  '144': { title: '3.5 inches, 1.44 MB', cmos: 4, formats: [...HIGH_DENSITY, ...DOUBLE_DENSITY] },
  '288': {
    title: '3.5 inches, 2.88 MB',
    cmos: 5,
    formats: [...HIGH_DENSITY, ...EXTRA_DENSITY, ...DOUBLE_DENSITY],
  },
};

export function formatBytes({ sectors, cylinders, heads }: FloppyFormat): number {
  return sectors * cylinders * heads * SECTOR_BYTES;
}

/**
 * The kind of drive for an image of this size; for an empty drive, the one that accepts most. @param size bytes; null
 * if there is no medium
 */
export function driveFor(size: number | null): FloppyDriveKind {
  if (size === null) return '288';
  const exact = (['144', '288', '120'] as const).find(kind =>
    floppyDrives[kind].formats.some(format => formatBytes(format) === size),
  );
  if (exact !== undefined) return exact;
  return size <= formatBytes(floppyDrives['144'].formats[0]!) ? '144' : '288';
}

/**
 * The format of a medium of this size. A truncated image, such as a boot loader's, gets the first format with room for
 * it.
 * @throws an error for the user if it is too large
 */
export function formatFor(kind: FloppyDriveKind, size: number, name: string): FloppyFormat {
  const { title, formats } = floppyDrives[kind];
  const found =
    formats.find(format => formatBytes(format) === size) ??
    formats.find(format => formatBytes(format) > size);
  if (found !== undefined) return found;
  const most = Math.max(...formats.map(formatBytes));
  throw new Error(
    `the disk of ${name} has ${bytes(size)}, and a floppy drive of ${title} takes at most ${bytes(most)}: attach it as another kind of disk`,
  );
}
