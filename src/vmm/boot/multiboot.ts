import { KERNEL_START, LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry } from './boot-entry.ts';
import { BootError } from './boot-error.ts';
import { protectedMode } from './cpu-mode.ts';
import { damaged, type Elf, loadSegments, physicalEntry } from './elf.ts';
import { checkInside, type ImageFile, readBytes } from './image-file.ts';
import {
  alignUp,
  type BootModule,
  checkKernelPlace,
  DEFAULT_COMMAND_LINE_MAX,
  type KernelLoad,
  type Placed,
  placeImage,
  type TextMode,
  writeCommandLine,
  writeText,
} from './kernel-load.ts';
import { lowRamEnd, memoryMap } from './memory-map.ts';

/** Multiboot Specification 0.6.96 §3.1: the header, 32-bit aligned, in the file's first 8 KiB. */
const HEADER = { magic: 0x1bad_b002, size: 12, addresses: 20, area: 8192 } as const;
/**
 * Header flags 0-15 are requirements. These are supported: modules on page boundaries, memory information, and
 * information about the video mode, which is the screen's text mode whatever the kernel prefers, as in QEMU.
 */
const DEMANDS = 0xffff;
const DEMANDS_MET = 0b111;
/** The header has the addresses to load to. */
const HAS_ADDRESSES = 1 << 16;

/** §3.3: which fields of the information structure are valid. */
const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;
const INFO_FRAMEBUFFER = 1 << 12;
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
  framebufferAddress: 88,
  framebufferPitch: 96,
  framebufferWidth: 100,
  framebufferHeight: 104,
  framebufferBits: 108,
  framebufferType: 109,
  size: 120,
} as const;
/** Text of a VGA: two bytes for each character. */
const VGA_TEXT = { address: 0xb8000, bytes: 2, type: 2 } as const;
const MODULE_SIZE = 16;
/** Alignment of command lines. */
const TEXT_ALIGNMENT = 16;
/** The size field, which doesn't count itself, and 20 bytes. */
const MAP_ENTRY_SIZE = 24;
const LOADER_NAME = Buffer.from('vring\0');
/** The value of EAX at the entry point. */
const LOADER_MAGIC = 0x2bad_b002;

/** A multiboot header. */
export type MultibootHeader = {
  readonly flags: number;
  /** Its place in the file. */
  readonly offset: number;
  /** Where a file in another format than ELF goes, in guest-physical addresses; null if the header does not say. */
  readonly addresses: MultibootAddresses | null;
};

type MultibootAddresses = {
  /** Of the header itself. */
  readonly header: number;
  readonly load: number;
  /** 0: that of the file. */
  readonly loadEnd: number;
  /** The end of what is cleared after it; 0: nothing is. */
  readonly bssEnd: number;
  readonly entry: number;
};

/** @returns the multiboot header; null if the file has none. */
export function findMultibootHeader(image: ImageFile): MultibootHeader | null {
  const area = readBytes(image, 0, Math.min(image.size, HEADER.area), 'multiboot header');
  for (let at = 0; at + HEADER.size <= area.length; at += 4) {
    if (area.readUInt32LE(at) !== HEADER.magic) continue;
    const flags = area.readUInt32LE(at + 4);
    const checksum = area.readUInt32LE(at + 8);
    if ((HEADER.magic + flags + checksum) % 2 ** 32 !== 0) continue;
    return { flags, offset: at, addresses: addressesOf(area.subarray(at + HEADER.size), flags) };
  }
  return null;
}

function addressesOf(fields: Buffer, flags: number): MultibootAddresses | null {
  if ((flags & HAS_ADDRESSES) === 0 || fields.length < HEADER.addresses) return null;
  const field = (index: number) => fields.readUInt32LE(4 * index);
  return { header: field(0), load: field(1), loadEnd: field(2), bssEnd: field(3), entry: field(4) };
}

/**
 * Loads a kernel and enters it by the multiboot protocol: 32-bit, paging off.
 * @param elf the file's headers; null for one in another format, whose multiboot header has the addresses
 */
export function loadMultiboot(load: KernelLoad, elf: Elf | null, header: MultibootHeader): BootEntry {
  const { kernel, memory } = load;
  const unmet = header.flags & DEMANDS & ~DEMANDS_MET;
  if (unmet !== 0) {
    throw new BootError(
      `${kernel.name} requires multiboot features that vring lacks (flags 0x${unmet.toString(16)}; ` +
        'supported: module alignment, memory information and video information): build it without them',
    );
  }
  const { entry, end: kernelEnd } =
    header.addresses === null && elf !== null ? loadElf(load, elf) : loadFlat(load, header);
  // The kernel's own name comes first, as with QEMU: kvm-unit-tests skips it.
  const named = { ...load, commandLine: `${kernel.name} ${load.commandLine}` };
  const commandLine = writeCommandLine(named, DEFAULT_COMMAND_LINE_MAX);
  writeInfo(load, commandLine, placeModules(load, kernelEnd, commandLine));
  if (load.textMode !== null) writeTextMode(memory, load.textMode);
  const registers = { rax: LOADER_MAGIC, rbx: LOW_MEMORY.startInfo };
  return { protocol: 'multiboot', ...protectedMode(memory), rip: entry, registers };
}

/** What has been loaded: guest-physical addresses. */
type Loaded = { readonly entry: number; readonly end: number };

function loadElf(load: KernelLoad, elf: Elf): Loaded {
  const entry = physicalEntry(elf, elf.entry);
  if (entry === null)
    throw damaged(load.kernel, `its entry point 0x${elf.entry.toString(16)} is in no loadable segment`);
  return { entry, end: loadSegments(load, elf) };
}

/** §3.1.3: a file that goes to memory as it is, from the address of its header on or before. */
function loadFlat(load: KernelLoad, { offset, addresses }: MultibootHeader): Loaded {
  const { kernel, memory } = load;
  if (addresses === null)
    throw new BootError(
      `${kernel.name} has a multiboot header without addresses, but is no ELF file: link it as one`,
    );
  const { header, load: start, entry } = addresses;
  const from = offset - (header - start);
  if (header < start || from < 0)
    throw damaged(kernel, 'the addresses in its multiboot header are not those of its content');
  const loadEnd = addresses.loadEnd === 0 ? start + kernel.size - from : addresses.loadEnd;
  const end = Math.max(loadEnd, addresses.bssEnd);
  if (loadEnd <= start || entry < start || entry >= loadEnd)
    throw damaged(kernel, `its entry point 0x${entry.toString(16)} is outside of what its header has loaded`);
  checkInside(kernel, from, loadEnd - start, 'content');
  checkKernelPlace(load, start, end - start, 'content');
  const target = memory.writable(start, end - start);
  kernel.readInto(target.subarray(0, loadEnd - start), from, 'content');
  target.fill(0, loadEnd - start);
  return { entry, end };
}

/** Describes the screen's text mode. */
function writeTextMode(memory: KernelLoad['memory'], { columns, rows }: TextMode): void {
  const info = LOW_MEMORY.startInfo;
  memory.writeU32(info + INFO.flags, memory.readU32(info + INFO.flags) | INFO_FRAMEBUFFER);
  memory.writeU32(info + INFO.framebufferAddress, VGA_TEXT.address);
  memory.writeU32(info + INFO.framebufferPitch, columns * VGA_TEXT.bytes);
  memory.writeU32(info + INFO.framebufferWidth, columns);
  memory.writeU32(info + INFO.framebufferHeight, rows);
  const format = memory.writable(info + INFO.framebufferBits, 2);
  format.set([8 * VGA_TEXT.bytes, VGA_TEXT.type]);
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
