import { extname } from 'node:path';

/** The formats that images are made in. */
export const IMAGE_FORMATS = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** What can be taken at once of a new image's space. */
export const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'] as const;
export type Preallocation = (typeof PREALLOCATIONS)[number];

/** What the ending of a new file's name says, as other programs name their images; qcow2 if it says nothing. */
const ENDINGS: Readonly<Record<string, ImageFormat>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.vmdk': 'vmdk',
  '.vdi': 'vdi',
  '.vhd': 'vhd',
  '.vhdx': 'vhdx',
};

/** The format of a new file, as its name ends. */
export function formatOfName(file: string): ImageFormat {
  return ENDINGS[extname(file).toLowerCase()] ?? 'qcow2';
}
