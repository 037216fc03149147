import { extname } from 'node:path';

/** The formats in which images can be created. */
export const IMAGE_FORMATS = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** How much of a new image's space can be allocated in advance. */
export const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'] as const;
export type Preallocation = (typeof PREALLOCATIONS)[number];

/** Formats by the extension of a new file, as other programs name their images; qcow2 for any other. */
const ENDINGS: Readonly<Record<string, ImageFormat>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.vmdk': 'vmdk',
  '.vdi': 'vdi',
  '.vhd': 'vhd',
  '.vhdx': 'vhdx',
};

/** The format of a new file, by its extension. */
export function formatOfName(file: string): ImageFormat {
  return ENDINGS[extname(file).toLowerCase()] ?? 'qcow2';
}
