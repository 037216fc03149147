import { LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry } from './boot-entry.ts';
import { protectedMode } from './cpu-mode.ts';
import { damaged, type Elf, loadSegments, physicalEntry } from './elf.ts';
import { readNotes } from './elf-notes.ts';
import type { ImageFile } from './image-file.ts';
import { DEFAULT_COMMAND_LINE_MAX, type KernelLoad, placeInitrd, writeCommandLine } from './kernel-load.ts';
import { memoryMap } from './memory-map.ts';

/** Xen, public/elfnote.h: the note whose content is the physical address of the 32-bit entry point. */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** Xen, public/arch-x86/hvm/start_info.h: struct hvm_start_info, version 1, and what it points to. */
const START_INFO = { magic: 0x336e_c578, version: 1, size: 56, moduleSize: 32, mapEntrySize: 24 } as const;

/** @returns the physical address in the kernel's PVH note, or null if it has no such note. */
export function findPvhEntry(kernel: ImageFile, elf: Elf): number | null {
  for (const { owner, type, content } of readNotes(kernel, elf)) {
    if (owner === 'Xen' && type === XEN_ELFNOTE_PHYS32_ENTRY && content.length >= 4)
      return content.readUInt32LE(0);
  }
  return null;
}

/** Loads an ELF kernel and enters it by the PVH protocol (Xen, docs/misc/pvh.pandoc): 32-bit, paging off. */
export function loadPvh(load: KernelLoad, elf: Elf, entry: number): BootEntry {
  const { memory } = load;
  if (physicalEntry(elf, entry) === null) {
    throw damaged(load.kernel, `its PVH entry point 0x${entry.toString(16)} is in no loadable segment`);
  }
  const kernelEnd = loadSegments(load, elf);
  const commandLine = writeCommandLine(load, DEFAULT_COMMAND_LINE_MAX);
  const initrd = placeInitrd(load, kernelEnd, 0xffff_ffff);
  const map = memoryMap(memory);

  const info = LOW_MEMORY.startInfo;
  const modules = info + START_INFO.size;
  const table = modules + START_INFO.moduleSize;
  memory.writable(info, START_INFO.size + START_INFO.moduleSize).fill(0);
  memory.writeU32(info, START_INFO.magic);
  memory.writeU32(info + 4, START_INFO.version);
  memory.writeU32(info + 12, initrd ? 1 : 0);
  memory.writeU64(info + 16, BigInt(initrd ? modules : 0));
  memory.writeU64(info + 24, BigInt(commandLine.address));
  memory.writeU64(info + 32, BigInt(load.rsdp));
  memory.writeU64(info + 40, BigInt(table));
  memory.writeU32(info + 48, map.length);
  if (initrd) {
    memory.writeU64(modules, BigInt(initrd.address));
    memory.writeU64(modules + 8, BigInt(initrd.size));
  }
  map.forEach((range, index) => {
    const at = table + index * START_INFO.mapEntrySize;
    memory.writeU64(at, BigInt(range.address));
    memory.writeU64(at + 8, BigInt(range.size));
    memory.writeU64(at + 16, BigInt(range.type));
  });
  return { protocol: 'pvh', ...protectedMode(memory), rip: entry, registers: { rbx: info } };
}
