import { KERNEL_START, LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry } from './boot-entry.ts';
import { BootError } from './boot-error.ts';
import { longMode, protectedMode } from './cpu-mode.ts';
import { type ImageFile, readBytes } from './image-file.ts';
import {
  alignUp,
  checkKernelPlace,
  type KernelLoad,
  type Placed,
  placeInitrd,
  writeCommandLine,
} from './kernel-load.ts';
import { memoryMap } from './memory-map.ts';

/**
 * Offsets in the file, which are also those in boot_params (Linux, Documentation/arch/x86/boot.rst, "The real-mode
 * kernel header").
 */
export const HEADER = {
  setupSects: 0x1f1,
  syssize: 0x1f4,
  vidMode: 0x1fa,
  bootFlag: 0x1fe,
  /** A byte: the distance from `magic` to the header's end. */
  length: 0x201,
  magic: 0x202,
  version: 0x206,
  typeOfLoader: 0x210,
  loadflags: 0x211,
  code32Start: 0x214,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  heapEndPtr: 0x224,
  cmdLinePtr: 0x228,
  initrdAddrMax: 0x22c,
  kernelAlignment: 0x230,
  relocatableKernel: 0x234,
  xloadflags: 0x236,
  cmdlineSize: 0x238,
  prefAddress: 0x258,
  initSize: 0x260,
  /** Other fields of boot_params start here. */
  end: 0x290,
} as const;

/** A text mode in boot_params (Linux, include/uapi/linux/screen_info.h). */
const SCREEN = { mode: 0x06, columns: 0x07, memory: 0x0a, rows: 0x0e, isVga: 0x0f, points: 0x10 } as const;
/** The mode of 80 by 25 characters in color. */
const TEXT_MODE = 3;
/** 256 KiB, for an EGA or better. */
const EGA_MEMORY = 3;

/** Fields of boot_params outside the header (Linux, Documentation/arch/x86/zero-page.rst). */
const PARAMS = {
  acpiRsdpAddr: 0x70,
  e820Entries: 0x1e8,
  e820Table: 0x2d0,
  e820EntrySize: 20,
  e820Max: 128,
  size: 4096,
} as const;

const MAGIC = 0x5372_6448; // "HdrS", little endian
const BOOT_FLAG = 0xaa55;
const SECTOR = 512;
/** The header is inside the first two sectors. */
const HEADER_AREA = 2 * SECTOR;
/** The unit of syssize. */
const PARAGRAPH = 16;
const LOADED_HIGH = 1;
const XLF_KERNEL_64 = 1;
/** startup_64 is this far into the protected-mode code. */
const ENTRY_64 = 0x200;
const VIDEO_NORMAL = 0xffff;
const LOADER_UNKNOWN = 0xff;

type SetupHeader = {
  /** Offset of the protected-mode code in the file, its bytes in memory, and how many of those are in the file. */
  readonly code: { readonly offset: number; readonly size: number; readonly fileSize: number };
  /** Where it is loaded, and how many bytes from there it uses before it reads the memory map. */
  readonly place: Placed;
  readonly has64BitEntry: boolean;
  readonly initrdMax: number;
  readonly commandLineMax: number;
  /** From `HEADER.setupSects` to the header's end: the part copied to boot_params. */
  readonly bytes: Buffer;
};

export function isBzImage(head: Uint8Array): boolean {
  if (head.length < HEADER.version) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  return view.getUint32(HEADER.magic, true) === MAGIC && view.getUint16(HEADER.bootFlag, true) === BOOT_FLAG;
}

/**
 * Whether an image can only be started by a PC's firmware: its setup code does all the work, in real mode, as in iPXE's
 * ipxe.lkrn, or it is too old.
 */
export function needsBios(head: Buffer): boolean {
  if (!isBzImage(head) || head.length < HEADER_AREA) return false;
  const version = head.readUInt16LE(HEADER.version);
  if (version < 0x204 || (head.readUInt8(HEADER.loadflags) & LOADED_HIGH) === 0) return true;
  return !startsIn64Bits(head) && head.readUInt32LE(HEADER.code32Start) === 0;
}

function startsIn64Bits(head: Buffer): boolean {
  return (
    head.readUInt16LE(HEADER.version) >= 0x20c && (head.readUInt16LE(HEADER.xloadflags) & XLF_KERNEL_64) !== 0
  );
}

/** Loads a Linux bzImage and enters it by the 64-bit boot protocol if it supports that, otherwise by the 32-bit one. */
export function loadBzImage(load: KernelLoad): BootEntry {
  const { kernel, memory } = load;
  const header = readSetupHeader(kernel);
  const { place, code } = header;
  checkKernelPlace(load, place.address, place.size, 'code');
  const target = memory.writable(place.address, code.size);
  kernel.readInto(target.subarray(0, code.fileSize), code.offset, 'protected-mode code');
  target.fill(0, code.fileSize);
  const commandLine = writeCommandLine(load, header.commandLineMax);
  const initrd = placeInitrd(load, place.address + place.size, header.initrdMax);
  writeBootParams(load, header.bytes, commandLine, initrd);
  const registers = { rsi: LOW_MEMORY.bootParams, rsp: LOW_MEMORY.bootStack };
  return header.has64BitEntry
    ? { protocol: 'linux64', ...longMode(memory), rip: place.address + ENTRY_64, registers }
    : { protocol: 'linux32', ...protectedMode(memory), rip: place.address, registers };
}

function readSetupHeader(kernel: ImageFile): SetupHeader {
  const head = readBytes(kernel, 0, HEADER_AREA, 'setup header');
  const version = head.readUInt16LE(HEADER.version);
  if (version < 0x204 || !(head.readUInt8(HEADER.loadflags) & LOADED_HIGH)) {
    throw new BootError(
      `${kernel.name} is a Linux kernel that is too old (boot protocol ${version >> 8}.${version & 0xff}): ` +
        'use a bzImage with protocol 2.04 or later',
    );
  }
  const offset = ((head.readUInt8(HEADER.setupSects) || 4) + 1) * SECTOR;
  const size = head.readUInt32LE(HEADER.syssize) * PARAGRAPH;
  if (size <= ENTRY_64)
    throw new BootError(`${kernel.name} has a damaged setup header: its code size is zero`);
  const has64BitEntry = startsIn64Bits(head);
  if (needsBios(head)) {
    throw new BootError(
      `${kernel.name} has only a real-mode entry point, which needs a BIOS: a kernel is booted ` +
        'without firmware unless told otherwise: add --firmware bios, or machine.firmware: bios',
    );
  }
  const end = Math.min(HEADER.magic + head.readUInt8(HEADER.length), HEADER.end);
  return {
    code: { offset, size, fileSize: codeInFile(kernel, offset, size) },
    place: loadPlace(kernel, head, version, size),
    has64BitEntry,
    initrdMax: head.readUInt32LE(HEADER.initrdAddrMax),
    commandLineMax: version >= 0x206 ? head.readUInt32LE(HEADER.cmdlineSize) : 255,
    bytes: head.subarray(HEADER.setupSects, end),
  };
}

/** The setup header that a loader fills in for a kernel without one: protocol 2.12. */
export function minimalHeader(): Uint8Array {
  const bytes = Buffer.alloc(HEADER.end - HEADER.setupSects);
  bytes.writeUInt16LE(BOOT_FLAG, HEADER.bootFlag - HEADER.setupSects);
  bytes.writeUInt32LE(MAGIC, HEADER.magic - HEADER.setupSects);
  bytes.writeUInt16LE(0x20c, HEADER.version - HEADER.setupSects);
  bytes.writeUInt8(LOADED_HIGH, HEADER.loadflags - HEADER.setupSects);
  return bytes;
}

/** An image may leave its last paragraph unpadded. If more is missing, the read fails. */
function codeInFile(kernel: ImageFile, offset: number, size: number): number {
  const missing = offset + size - kernel.size;
  return missing > 0 && missing < PARAGRAPH ? size - missing : size;
}

/** At the preferred address: a relocatable kernel never runs below it, so any other place only costs memory. */
function loadPlace(kernel: ImageFile, head: Buffer, version: number, codeSize: number): Placed {
  if (version < 0x20a) return { address: KERNEL_START, size: codeSize };
  const alignment = head.readUInt32LE(HEADER.kernelAlignment);
  const preferred = Number(head.readBigUInt64LE(HEADER.prefAddress));
  const relocatable = head.readUInt8(HEADER.relocatableKernel) !== 0;
  if (relocatable && (alignment === 0 || (alignment & (alignment - 1)) !== 0)) {
    throw new BootError(
      `${kernel.name} has a damaged setup header: kernel_alignment 0x${alignment.toString(16)} is not a power of two`,
    );
  }
  const address = relocatable ? alignUp(preferred, alignment) : preferred;
  return { address, size: Math.max(codeSize, head.readUInt32LE(HEADER.initSize)) };
}

/** @param header from `HEADER.setupSects` on */
export function writeBootParams(
  load: KernelLoad,
  header: Uint8Array,
  commandLine: Placed,
  initrd: Placed | null,
): void {
  const { memory } = load;
  const base = LOW_MEMORY.bootParams;
  const params = memory.writable(base, PARAMS.size);
  params.fill(0);
  params.set(header, HEADER.setupSects);
  params[HEADER.typeOfLoader] = LOADER_UNKNOWN;
  memory.writeU16(base + HEADER.vidMode, VIDEO_NORMAL);
  memory.writeU32(base + HEADER.cmdLinePtr, commandLine.address);
  memory.writeU32(base + HEADER.ramdiskImage, initrd?.address ?? 0);
  memory.writeU32(base + HEADER.ramdiskSize, initrd?.size ?? 0);
  memory.writeU64(base + PARAMS.acpiRsdpAddr, BigInt(load.rsdp));
  if (load.textMode !== null) {
    params[SCREEN.mode] = TEXT_MODE;
    params[SCREEN.columns] = load.textMode.columns;
    params[SCREEN.memory] = EGA_MEMORY;
    params[SCREEN.rows] = load.textMode.rows;
    params[SCREEN.isVga] = 1;
    params[SCREEN.points] = load.textMode.fontHeight;
  }
  const map = memoryMap(memory).slice(0, PARAMS.e820Max);
  params[PARAMS.e820Entries] = map.length;
  map.forEach((entry, index) => {
    const at = base + PARAMS.e820Table + index * PARAMS.e820EntrySize;
    memory.writeU64(at, BigInt(entry.address));
    memory.writeU64(at + 8, BigInt(entry.size));
    memory.writeU32(at + 16, entry.type);
  });
}
