import { KERNEL_START, LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry } from './boot-entry.ts';
import { BootError } from './boot-error.ts';
import { protectedMode } from './cpu-mode.ts';
import { damaged, type Elf, loadSegments, physicalEntry } from './elf.ts';
import { type ImageFile, readBytes } from './image-file.ts';
import {
  alignUp,
  type BootModule,
  DEFAULT_COMMAND_LINE_MAX,
  type KernelLoad,
  type Placed,
  placeImage,
  writeCommandLine,
  writeText,
} from './kernel-load.ts';
import { lowRamEnd, memoryMap } from './memory-map.ts';

/** Multiboot Specification 0.6.96 §3.1: the header, 32-bit aligned, in the file's first 8 KiB. */
const HEADER = { magic: 0x1bad_b002, size: 12, area: 8192 } as const;
/** Header flags 0-15 are requirements; these two are supported: modules on page boundaries, and memory information. */
const DEMANDS = 0xffff;
const DEMANDS_MET = 0b11;

/** §3.3: which fields of the information structure are valid. */
const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;
const INFO = {
  flags: 0,
  memLower: 4,
  memUpper: 8,
  commandLine: 16,
  modulesCount: 20,
  modulesAddress: 24,
  mapLength: 44,
  mapAddress: 48,
  loaderName: 64,
  size: 120,
} as const;
const MODULE_SIZE = 16;
/** Alignment of command lines. */
const TEXT_ALIGNMENT = 16;
/** The size field, which doesn't count itself, and 20 bytes. */
const MAP_ENTRY_SIZE = 24;
const LOADER_NAME = Buffer.from('vring\0');
/** The value of EAX at the entry point. */
const LOADER_MAGIC = 0x2bad_b002;

/** @returns the flags of the multiboot header, or null if the file has none. */
export function findMultibootFlags(image: ImageFile): number | null {
  const area = readBytes(image, 0, Math.min(image.size, HEADER.area), 'multiboot header');
  for (let at = 0; at + HEADER.size <= area.length; at += 4) {
    if (area.readUInt32LE(at) !== HEADER.magic) continue;
    const flags = area.readUInt32LE(at + 4);
    const checksum = area.readUInt32LE(at + 8);
    if ((HEADER.magic + flags + checksum) % 2 ** 32 === 0) return flags;
  }
  return null;
}

/** Loads an ELF kernel and enters it by the multiboot protocol: 32-bit, paging off. */
export function loadMultiboot(load: KernelLoad, elf: Elf, flags: number): BootEntry {
  const { kernel, memory } = load;
  const unmet = flags & DEMANDS & ~DEMANDS_MET;
  if (unmet !== 0) {
    throw new BootError(
      `${kernel.name} requires multiboot features that vring lacks (flags 0x${unmet.toString(16)}; ` +
        'supported: module alignment and memory information): build it without them',
    );
  }
  const entry = physicalEntry(elf, elf.entry);
  if (entry === null) {
    throw damaged(kernel, `its entry point 0x${elf.entry.toString(16)} is in no loadable segment`);
  }
  const kernelEnd = loadSegments(load, elf);
  // The kernel's own name comes first, as with QEMU: kvm-unit-tests skips it.
  const named = { ...load, commandLine: `${kernel.name} ${load.commandLine}` };
  const commandLine = writeCommandLine(named, DEFAULT_COMMAND_LINE_MAX);
  writeInfo(load, commandLine, placeModules(load, kernelEnd, commandLine));
  const registers = { rax: LOADER_MAGIC, rbx: LOW_MEMORY.startInfo };
  return { protocol: 'multiboot', ...protectedMode(memory), rip: entry, registers };
}

/** A module in guest memory, and its command line. */
type PlacedModule = { readonly content: Placed; readonly commandLine: Placed };

/** Puts the modules, or else the initrd, at the top of low RAM, in order; their command lines follow the kernel's. */
function placeModules(load: KernelLoad, kernelEnd: number, kernelText: Placed): PlacedModule[] {
  const { initrd, memory } = load;
  const modules: readonly BootModule[] =
    initrd === null ? load.modules : [{ image: initrd, commandLine: initrd.name }];
  let text = kernelText;
  const texts = modules.map(({ commandLine }) => {
    const address = alignUp(text.address + text.size + 1, TEXT_ALIGNMENT);
    if (address + Buffer.byteLength(commandLine) >= LOW_MEMORY.end)
      throw new BootError(
        `the command lines of ${load.kernel.name} and its modules are too long: shorten them`,
      );
    text = writeText(memory, address, commandLine, 'the command line of a module');
    return text;
  });
  let end = lowRamEnd(memory);
  const placed: PlacedModule[] = [];
  for (let at = modules.length - 1; at >= 0; at--) {
    const content = placeImage(load, modules[at]!.image, initrd ? 'initrd' : 'module', kernelEnd, end);
    placed.unshift({ content, commandLine: texts[at]! });
    end = content.address;
  }
  return placed;
}

function writeInfo({ memory }: KernelLoad, commandLine: Placed, modules: readonly PlacedModule[]): void {
  const info = LOW_MEMORY.startInfo;
  const list = info + INFO.size;
  const name = list + modules.length * MODULE_SIZE;
  const table = name + 8;
  const map = memoryMap(memory);
  memory.writable(info, name - info).fill(0);
  const valid = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME;
  memory.writeU32(info + INFO.flags, modules.length > 0 ? valid | INFO_MODULES : valid);
  memory.writeU32(info + INFO.memLower, Math.floor(LOW_MEMORY.end / 1024));
  memory.writeU32(info + INFO.memUpper, (lowRamEnd(memory) - KERNEL_START) / 1024);
  memory.writeU32(info + INFO.commandLine, commandLine.address);
  memory.writeU32(info + INFO.mapLength, map.length * MAP_ENTRY_SIZE);
  memory.writeU32(info + INFO.mapAddress, table);
  memory.writeU32(info + INFO.loaderName, name);
  memory.writable(name, LOADER_NAME.length).set(LOADER_NAME);
  memory.writeU32(info + INFO.modulesCount, modules.length);
  memory.writeU32(info + INFO.modulesAddress, modules.length > 0 ? list : 0);
  modules.forEach(({ content, commandLine }, index) => {
    const at = list + index * MODULE_SIZE;
    memory.writeU32(at, content.address);
    memory.writeU32(at + 4, content.address + content.size);
    memory.writeU32(at + 8, commandLine.address);
  });
  map.forEach((range, index) => {
    const at = table + index * MAP_ENTRY_SIZE;
    memory.writeU32(at, MAP_ENTRY_SIZE - 4);
    memory.writeU64(at + 4, BigInt(range.address));
    memory.writeU64(at + 12, BigInt(range.size));
    memory.writeU32(at + 20, range.type);
  });
}
