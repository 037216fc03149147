import { shellText } from '../../text/shell.ts';

/** Reads bytes of an image; returns fewer at its end. */
export type ReadAt = (offset: number, length: number) => Buffer;

const SECTOR = 512;
/** As much as QEMU reads (BLOCK_PROBE_BUF_SIZE is one sector, but the text of a VMDK descriptor may start later). */
const HEAD = 2048;

/**
 * Formats identified by their first bytes. Sources: the probe functions of QEMU's block/ folder, docs/interop/qcow2.rst
 * and the formats' own documents.
 */
const HEADERS: readonly { readonly name: string; readonly at: number; readonly magic: string }[] = [
  { name: 'qed', at: 0, magic: 'QED\0' },
  { name: 'vmdk', at: 0, magic: 'KDMV' },
  { name: 'vmdk', at: 0, magic: 'COWD' },
  { name: 'vdi', at: 0x40, magic: '\x7f\x10\xda\xbe' },
  { name: 'vhd', at: 0, magic: 'conectix' },
  { name: 'vhdx', at: 0, magic: 'vhdxfile' },
  { name: 'parallels', at: 0, magic: 'WithoutFreeSpace' },
  { name: 'parallels', at: 0, magic: 'WithouFreSpacExt' },
  { name: 'bochs', at: 0, magic: 'Bochs Virtual HD Image' },
  { name: 'cloop', at: 0, magic: '#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0' },
  { name: 'luks', at: 0, magic: 'LUKS\xba\xbe' },
  { name: 'gzip', at: 0, magic: '\x1f\x8b\x08' },
  { name: 'xz', at: 0, magic: '\xfd7zXZ\0' },
  { name: 'zstd', at: 0, magic: '\x28\xb5\x2f\xfd' },
  { name: 'bzip2', at: 0, magic: 'BZh91AY&SY' },
  { name: 'zip', at: 0, magic: 'PK\x03\x04' },
];

/** Formats identified by their last sector: a fixed VHD, and an Apple disk image (`koly` trailer). */
const TRAILERS = [
  { name: 'vhd', magic: 'conectix' },
  { name: 'dmg', magic: 'koly' },
] as const;

/** Whole-file compression. */
const COMPRESSED: Readonly<Record<string, string>> = {
  gzip: 'gunzip',
  xz: 'unxz',
  zstd: 'unzstd',
  bzip2: 'bunzip2',
  zip: 'unzip',
};

/**
 * The format that an image's bytes indicate, under `qemu-img`'s name if it has one; `raw` for everything else,
 * including CD images.
 * @param size bytes of the whole image
 */
export function probeFormat(read: ReadAt, size: number): string {
  const head = read(0, HEAD).toString('latin1');
  if (head.startsWith('QFI\xfb')) return head.startsWith('\0\0\0\x01', 4) ? 'qcow' : 'qcow2';
  const header = HEADERS.find(({ at, magic }) => head.startsWith(magic, at));
  if (header) return header.name;
  if (isVmdkDescriptor(head)) return 'vmdk';
  if (size < SECTOR) return 'raw';
  const last = read(size - SECTOR, SECTOR).toString('latin1');
  return TRAILERS.find(({ magic }) => last.startsWith(magic))?.name ?? 'raw';
}

/** How to turn an image of a format from `probeFormat` into a raw disk, as a clause: `make a raw one with ...`. */
export function toRaw(format: string, file: string): string {
  const unpack = COMPRESSED[format];
  if (unpack) return `unpack it first (\`${shellText([unpack, file])}\`)`;
  if (format === 'luks') return 'open it with cryptsetup and give the block device in /dev/mapper';
  const name = format === 'vhd' ? 'vpc' : format;
  const named = `${file.replace(/\.[a-z0-9]+$/i, '')}.raw`;
  // qemu-img would overwrite the image that it reads.
  const raw = named === file ? `${file}.raw` : named;
  const convert = shellText(['qemu-img', 'convert', '-f', name, '-O', 'raw', file, raw]);
  return `make a raw one with \`${convert}\``;
}

/** A VMDK's text: comments and empty lines, then the version (QEMU's vmdk_probe). */
function isVmdkDescriptor(head: string): boolean {
  return /^(?:(?:#.*| *)\r?\n)*version=[123]\r?\n/.test(head) || head.startsWith('# Disk DescriptorFile');
}
