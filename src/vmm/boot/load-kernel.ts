import type { BootEntry } from './boot-entry.ts';
import { isBzImage, loadBzImage } from './bzimage.ts';
import { isElf, readElf } from './elf.ts';
import { readBytes } from './image-file.ts';
import type { KernelLoad } from './kernel-load.ts';
import { findMultibootFlags, loadMultiboot } from './multiboot.ts';
import { findPvhEntry, loadPvh } from './pvh.ts';
import { elfWithoutEntry, unknownKernel } from './unknown-image.ts';

/** Enough for every signature and for Linux's setup header. */
const HEAD = 1024;

/**
 * Puts a kernel, its initrd, its command line and what its boot protocol asks for into guest memory. The protocol is
 * told by the file's content: Linux bzImage, ELF with a PVH note, ELF with a multiboot header.
 * @returns how the boot processor enters it. @throws BootError with a sentence for the user.
 */
export function loadKernel(load: KernelLoad): BootEntry {
  const { kernel } = load;
  const head = readBytes(kernel, 0, Math.min(kernel.size, HEAD), 'header');
  if (isBzImage(head)) return loadBzImage(load);
  if (!isElf(head)) throw unknownKernel(kernel, head);
  const elf = readElf(kernel);
  const pvhEntry = findPvhEntry(kernel, elf);
  if (pvhEntry !== null) return loadPvh(load, elf, pvhEntry);
  const flags = findMultibootFlags(kernel);
  if (flags !== null) return loadMultiboot(load, elf, flags);
  throw elfWithoutEntry(kernel);
}
