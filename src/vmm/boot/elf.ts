import { KERNEL_START } from '../memory/layout.ts';
import { BootError } from './boot-error.ts';
import { checkInside, type ImageFile, readBytes } from './image-file.ts';
import { checkKernelPlace, type KernelLoad } from './kernel-load.ts';

/** An x86 ELF executable's headers (System V ABI, "Object Files"). Values are as in the file, not validated. */
export type Elf = {
  readonly class: 32 | 64;
  readonly entry: number;
  /** The end of the headers in the file. */
  readonly headersEnd: number;
  readonly segments: readonly ElfSegment[];
};

export type ElfSegment = {
  readonly type: number;
  readonly offset: number;
  readonly virtual: number;
  readonly physical: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
};

export const PT_LOAD = 1;
export const PT_NOTE = 4;

const MAGIC = 0x464c_457f; // "\x7fELF", little endian
const LITTLE_ENDIAN = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const MACHINES: Readonly<Record<number, string>> = {
  40: 'Arm',
  183: 'arm64',
  243: 'RISC-V',
  21: 'POWER',
  22: 'S/390',
};

export function isElf(head: Buffer): boolean {
  return head.length >= 4 && head.readUInt32LE(0) === MAGIC;
}

/** @throws BootError if it is damaged or not an x86 executable. */
export function readElf(image: ImageFile): Elf {
  const ident = readBytes(image, 0, 20, 'ELF header');
  const bits = ident[4] === 2 ? 64 : 32;
  const machine = ident.readUInt16LE(18);
  if (ident[5] !== LITTLE_ENDIAN || (machine !== EM_386 && machine !== EM_X86_64)) {
    const name = MACHINES[machine] ?? `machine type ${machine}`;
    throw new BootError(`${image.name} is an ELF file for another processor (${name}): use an x86 kernel`);
  }
  const type = ident.readUInt16LE(16);
  if (type !== ET_EXEC && type !== ET_DYN) {
    throw new BootError(
      `${image.name} is an ELF file but not an executable (ELF type ${type}): link it first`,
    );
  }
  return bits === 64 ? readElf64(image) : readElf32(image);
}

function readElf64(image: ImageFile): Elf {
  const header = readBytes(image, 0, 64, 'ELF header');
  const table = Number(header.readBigUInt64LE(32));
  const count = header.readUInt16LE(56);
  const segments = readSegments(image, table, header.readUInt16LE(54), count, 56, raw => ({
    type: raw.readUInt32LE(0),
    offset: Number(raw.readBigUInt64LE(8)),
    virtual: Number(raw.readBigUInt64LE(16)),
    physical: Number(raw.readBigUInt64LE(24)),
    fileSize: Number(raw.readBigUInt64LE(32)),
    memorySize: Number(raw.readBigUInt64LE(40)),
    alignment: Number(raw.readBigUInt64LE(48)),
  }));
  return { class: 64, entry: Number(header.readBigUInt64LE(24)), headersEnd: table + 56 * count, segments };
}

function readElf32(image: ImageFile): Elf {
  const header = readBytes(image, 0, 52, 'ELF header');
  const table = header.readUInt32LE(28);
  const count = header.readUInt16LE(44);
  const segments = readSegments(image, table, header.readUInt16LE(42), count, 32, raw => ({
    type: raw.readUInt32LE(0),
    offset: raw.readUInt32LE(4),
    virtual: raw.readUInt32LE(8),
    physical: raw.readUInt32LE(12),
    fileSize: raw.readUInt32LE(16),
    memorySize: raw.readUInt32LE(20),
    alignment: raw.readUInt32LE(28),
  }));
  return { class: 32, entry: header.readUInt32LE(24), headersEnd: table + 32 * count, segments };
}

function readSegments(
  image: ImageFile,
  table: number,
  entrySize: number,
  count: number,
  expectedSize: number,
  parse: (raw: Buffer) => ElfSegment,
): ElfSegment[] {
  if (count > 0 && entrySize !== expectedSize) {
    throw damaged(image, `its program headers have ${entrySize} bytes each instead of ${expectedSize}`);
  }
  const raw = readBytes(image, table, count * entrySize, 'program header table');
  return Array.from({ length: count }, (_, i) => parse(raw.subarray(i * entrySize, (i + 1) * entrySize)));
}

/**
 * Copies the loadable segments to their physical addresses and clears what the file doesn't fill.
 * @returns the end of the highest one. @throws BootError before the first copy if any of them is invalid.
 */
export function loadSegments(load: KernelLoad, elf: Elf): number {
  const { kernel, memory } = load;
  const loadable = elf.segments.filter(
    segment => segment.type === PT_LOAD && segment.memorySize > 0 && !isOfHeaders(elf, segment),
  );
  if (loadable.length === 0) throw damaged(kernel, 'it has no loadable segment');
  loadable.sort((a, b) => a.physical - b.physical);
  let end = 0;
  for (const segment of loadable) {
    const { offset, physical, fileSize, memorySize } = segment;
    if (fileSize > memorySize) throw damaged(kernel, 'a segment has more bytes in the file than in memory');
    checkInside(kernel, offset, fileSize, 'loadable segment');
    checkKernelPlace(load, physical, memorySize, 'segment');
    if (physical < end) throw damaged(kernel, `two segments overlap at 0x${physical.toString(16)}`);
    end = physical + memorySize;
  }
  for (const { offset, physical, fileSize, memorySize } of loadable) {
    const target = memory.writable(physical, memorySize);
    kernel.readInto(target.subarray(0, fileSize), offset, 'loadable segment');
    target.fill(0, fileSize);
  }
  return end;
}

/** Whether a segment has nothing but the file's headers, below the kernel, where linkers put them unless prevented. */
function isOfHeaders({ headersEnd }: Elf, { offset, physical, fileSize, memorySize }: ElfSegment): boolean {
  return physical < KERNEL_START && offset === 0 && fileSize <= headersEnd && memorySize === fileSize;
}

/** The physical address of `entry`, which may be virtual; null if it is in no loadable segment. */
export function physicalEntry(elf: Elf, entry: number): number | null {
  const loadable = elf.segments.filter(segment => segment.type === PT_LOAD);
  const inside = (start: number, segment: ElfSegment) => entry >= start && entry < start + segment.memorySize;
  const mapped = loadable.find(segment => inside(segment.virtual, segment));
  if (mapped) return mapped.physical + (entry - mapped.virtual);
  return loadable.some(segment => inside(segment.physical, segment)) ? entry : null;
}

export function damaged(image: ImageFile, what: string): BootError {
  return new BootError(`${image.name} is damaged: ${what}`);
}
