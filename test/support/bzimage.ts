import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './temporary-folder.ts';

const SECTOR = 512;
const PAGE = 4096;
/** Sectors of the real-mode part: the boot sector, in which the header starts, and at least one more. */
const SETUP_SECTORS = 1;
const VERSION = 0x020c;
const LOADED_HIGH = 1;
/** The protected-mode part's address in headers, whatever its actual address. */
const NOMINAL_ADDRESS = 0x10_0000;
const HEADER_END = 0x268;

/** Offsets in the header (Documentation/arch/x86/boot.rst). */
const HEADER = {
  setupSectors: 0x1f1,
  systemSize: 0x1f4,
  bootFlag: 0x1fe,
  jump: 0x200,
  magic: 0x202,
  version: 0x206,
  loadFlags: 0x211,
  code32Start: 0x214,
  initrdAddressMax: 0x22c,
  kernelAlignment: 0x230,
  relocatable: 0x234,
  minAlignment: 0x235,
  commandLineSize: 0x238,
  preferredAddress: 0x258,
  initSize: 0x260,
} as const;

/**
 * Wraps a 64-bit ELF kernel for boot loaders without compressing it: the kernel is loaded as its memory image, followed
 * by code that switches to 64 bits. Nothing has to be relocated or copied, which takes long where KVM emulates the
 * guest's kernel mode.
 */
export function bzImageOf(vmlinux: Buffer): Buffer {
  const { image, address, end, entry } = loaded(vmlinux);
  const stubAddress = pages(end);
  const stub = kernelEntry(stubAddress, entry);
  const code = Buffer.alloc(stubAddress - address + stub.length);
  code.set(image);
  code.set(stub, stubAddress - address);
  return Buffer.concat([header(address, code.length, stubAddress - address), code]);
}

function header(address: number, size: number, start: number): Buffer {
  const setup = Buffer.alloc((1 + SETUP_SECTORS) * SECTOR);
  // Jumps to the next sector's real-mode code, which does not exist: boot loaders that start in real mode do not
  // support this image.
  setup.set([0xeb, HEADER_END - HEADER.jump - 2], HEADER.jump);
  setup.writeUInt8(SETUP_SECTORS, HEADER.setupSectors);
  setup.writeUInt32LE(Math.ceil(size / 16), HEADER.systemSize);
  setup.writeUInt16LE(0xaa55, HEADER.bootFlag);
  setup.write('HdrS', HEADER.magic, 'latin1');
  setup.writeUInt16LE(VERSION, HEADER.version);
  setup.writeUInt8(LOADED_HIGH, HEADER.loadFlags);
  setup.writeUInt32LE(NOMINAL_ADDRESS + start, HEADER.code32Start);
  setup.writeUInt32LE(0x7fff_ffff, HEADER.initrdAddressMax);
  // GRUB uses code32_start as the address of a kernel that can't be relocated, so this one is declared relocatable, by
  // multiples of its address.
  setup.writeUInt32LE(address, HEADER.kernelAlignment);
  setup.writeUInt8(1, HEADER.relocatable);
  setup.writeUInt8(Math.log2(address), HEADER.minAlignment);
  setup.writeUInt32LE(2047, HEADER.commandLineSize);
  setup.writeBigUInt64LE(BigInt(address), HEADER.preferredAddress);
  setup.writeUInt32LE(size, HEADER.initSize);
  return setup;
}

const PT_LOAD = 1;
/** Offsets in an ELF64 header and in its program headers (System V ABI). */
const ELF = { entry: 24, programHeaders: 32, entrySize: 54, entries: 56 } as const;
const SEGMENT = { type: 0, offset: 8, physical: 24, fileSize: 32, memorySize: 40 } as const;

type Loaded = {
  /** The bytes from `address` up to the trailing zeros. */
  readonly image: Buffer;
  readonly address: number;
  readonly end: number;
  readonly entry: number;
};

function loaded(elf: Buffer): Loaded {
  const number = (at: number) => Number(elf.readBigUInt64LE(at));
  const segments = Array.from({ length: elf.readUInt16LE(ELF.entries) }, (_, index) => {
    const at = number(ELF.programHeaders) + index * elf.readUInt16LE(ELF.entrySize);
    const [offset, physical] = [number(at + SEGMENT.offset), number(at + SEGMENT.physical)];
    const content = elf.subarray(offset, offset + number(at + SEGMENT.fileSize));
    return {
      type: elf.readUInt32LE(at + SEGMENT.type),
      physical,
      content,
      end: physical + number(at + SEGMENT.memorySize),
    };
  }).filter(({ type }) => type === PT_LOAD);
  const address = Math.min(...segments.map(({ physical }) => physical));
  const image = Buffer.alloc(
    Math.max(...segments.map(({ physical, content }) => physical + content.length)) - address,
  );
  for (const { physical, content } of segments) image.set(content, physical - address);
  return { image, address, end: Math.max(...segments.map(({ end }) => end)), entry: number(ELF.entry) };
}

/** kernel-entry.S, linked for its address. */
function kernelEntry(address: number, kernel: number): Buffer {
  const folder = temporaryFolder();
  const [object, binary] = [join(folder, 'entry.o'), join(folder, 'entry.bin')];
  execFileSync('cc', ['-c', '-o', object, join(import.meta.dirname, 'kernel-entry.S')]);
  const symbols = ['-Ttext', address.toString(16), '--defsym', `kernel=${kernel}`];
  execFileSync('ld', ['--oformat=binary', ...symbols, '-o', binary, object]);
  return readFileSync(binary);
}

const pages = (bytes: number) => Math.ceil(bytes / PAGE) * PAGE;
