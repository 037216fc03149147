import type { BootEntry } from './boot-entry.ts';
import { BootError } from './boot-error.ts';
import { isBzImage, loadBzImage } from './bzimage.ts';
import { isElf, readElf } from './elf.ts';
import { type ImageFile, readBytes } from './image-file.ts';
import type { KernelLoad } from './kernel-load.ts';
import { isLinux, loadLinuxElf } from './linux-elf.ts';
import { findMultibootHeader, loadMultiboot } from './multiboot.ts';
import { findPvhEntry, loadPvh } from './pvh.ts';
import { elfWithoutEntry, unknownKernel } from './unknown-image.ts';

/** Enough for every signature and for Linux's setup header. */
const HEAD = 1024;

/**
 * Loads a kernel, its initrd, its command line and its boot protocol's data into guest memory. The file's content
 * determines the protocol: Linux bzImage, ELF with a PVH note, ELF or another format with a multiboot header.
 * @returns how the boot processor enters it. @throws BootError with a message for the user.
 */
export function loadKernel(load: KernelLoad): BootEntry {
  const { kernel } = load;
  const head = readBytes(kernel, 0, Math.min(kernel.size, HEAD), 'header');
  if (isBzImage(head)) return loadBzImage(withoutModules(load));
  const header = findMultibootHeader(kernel);
  if (!isElf(head)) {
    if (header !== null) return loadMultiboot(load, null, header);
    throw unknownKernel(kernel, head);
  }
  const elf = readElf(kernel);
  const pvhEntry = findPvhEntry(kernel, elf);
  if (pvhEntry !== null && load.textMode !== null && isLinux(kernel, elf))
    return loadLinuxElf(withoutModules(load), elf);
  if (pvhEntry !== null) return loadPvh(withoutModules(load), elf, pvhEntry);
  if (header !== null) return loadMultiboot(load, elf, header);
  throw elfWithoutEntry(kernel);
}

/** Whether a kernel uses the multiboot protocol, the only one with modules. @throws BootError for a damaged one */
export function isMultiboot(kernel: ImageFile): boolean {
  const head = readBytes(kernel, 0, Math.min(kernel.size, HEAD), 'header');
  if (isBzImage(head) || findMultibootHeader(kernel) === null) return false;
  return !isElf(head) || findPvhEntry(kernel, readElf(kernel)) === null;
}

function withoutModules(load: KernelLoad): KernelLoad {
  if (load.modules.length === 0) return load;
  throw new BootError(
    `${load.kernel.name} is not a multiboot kernel, and only those take modules: give it one file, as its initrd`,
  );
}
