import { BootError } from './boot-error.ts';
import type { ImageFile } from './image-file.ts';

type Signature = { readonly offset: number; readonly bytes: string; readonly looksLike: string };

const DECOMPRESS = 'decompress it first';

/** Files that are often given as a kernel by mistake, by the bytes (latin-1) at an offset. The first match wins. */
const SIGNATURES: readonly Signature[] = [
  { offset: 0x38, bytes: 'ARM\x64', looksLike: 'a Linux kernel for arm64' },
  { offset: 0x38, bytes: 'RSC\x05', looksLike: 'a Linux kernel for RISC-V' },
  { offset: 0, bytes: '\x1f\x8b', looksLike: `gzip data: ${DECOMPRESS}` },
  { offset: 0, bytes: '\x28\xb5\x2f\xfd', looksLike: `zstd data: ${DECOMPRESS}` },
  { offset: 0, bytes: '\xfd7zXZ\0', looksLike: `xz data: ${DECOMPRESS}` },
  { offset: 0, bytes: 'BZh', looksLike: `bzip2 data: ${DECOMPRESS}` },
  { offset: 0, bytes: '\x02\x21\x4c\x18', looksLike: `lz4 data: ${DECOMPRESS}` },
  { offset: 0, bytes: '\x04\x22\x4d\x18', looksLike: `lz4 data: ${DECOMPRESS}` },
  { offset: 0, bytes: '070701', looksLike: 'an initramfs: give it as the initrd' },
  { offset: 0, bytes: 'QFI\xfb', looksLike: 'a qcow2 disk image' },
  { offset: 0, bytes: '\x27\x05\x19\x56', looksLike: 'a U-Boot image' },
  { offset: 0, bytes: 'MZ', looksLike: 'an EFI program' },
  { offset: 0, bytes: '#!', looksLike: 'a script' },
  { offset: 0x1fe, bytes: '\x55\xaa', looksLike: 'a disk image or boot sector' },
];

const ACCEPTED =
  'use a Linux bzImage (vmlinuz), an ELF file with a PVH note (vmlinux), or a multiboot kernel';

/** @param head the file's first bytes, up to 1 KiB. */
export function unknownKernel(image: ImageFile, head: Buffer): BootError {
  if (image.size === 0) return new BootError(`the kernel ${image.name} is an empty file; ${ACCEPTED}`);
  const found = SIGNATURES.find(({ offset, bytes }) => head.toString('latin1').startsWith(bytes, offset));
  const what = found ? `looks like ${found.looksLike}` : 'has no signature that vring knows';
  return new BootError(`${image.name} is not a kernel that vring can boot: it ${what}; ${ACCEPTED}`);
}

export function elfWithoutEntry(image: ImageFile): BootError {
  return new BootError(
    `${image.name} is an ELF file without a PVH note or a multiboot header: for Linux, build it with CONFIG_PVH=y ` +
      'or give its bzImage (vmlinuz)',
  );
}
