import { LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry } from './boot-entry.ts';
import { minimalHeader, writeBootParams } from './bzimage.ts';
import { longMode } from './cpu-mode.ts';
import { type Elf, loadSegments, physicalEntry } from './elf.ts';
import { readNotes } from './elf-notes.ts';
import type { ImageFile } from './image-file.ts';
import { DEFAULT_COMMAND_LINE_MAX, type KernelLoad, placeInitrd, writeCommandLine } from './kernel-load.ts';

/**
 * Whether an ELF file is a 64-bit Linux, which has its own notes (Linux, include/linux/elfnote-lto.h, build-salt.h).
 */
export function isLinux(kernel: ImageFile, elf: Elf): boolean {
  if (elf.class !== 64 || physicalEntry(elf, elf.entry) === null) return false;
  return [...readNotes(kernel, elf)].some(({ owner }) => owner === 'Linux');
}

/**
 * Loads an uncompressed Linux and enters it by the 64-bit boot protocol, as its own decompressor does
 * (Documentation/arch/x86/boot.rst): unlike PVH, that protocol describes the screen.
 */
export function loadLinuxElf(load: KernelLoad, elf: Elf): BootEntry {
  const end = loadSegments(load, elf);
  const commandLine = writeCommandLine(load, DEFAULT_COMMAND_LINE_MAX);
  const initrd = placeInitrd(load, end, 0xffff_ffff);
  writeBootParams(load, minimalHeader(), commandLine, initrd);
  const registers = { rsi: LOW_MEMORY.bootParams, rsp: LOW_MEMORY.bootStack };
  return { protocol: 'linux64', ...longMode(load.memory), rip: physicalEntry(elf, elf.entry)!, registers };
}
