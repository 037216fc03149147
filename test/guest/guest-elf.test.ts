import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';

const PT_LOAD = 1;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const MULTIBOOT_MAGIC = 0x1bad_b002;
const MULTIBOOT_SEARCH = 8192;

type Segment = {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
};

/** The program headers of an ELF file of either class (System V ABI, "Program Header"). */
function segmentsOf(file: DataView): Segment[] {
  const wide = file.getUint8(4) === 2;
  const word = (at: number) => (wide ? Number(file.getBigUint64(at, true)) : file.getUint32(at, true));
  const start = word(wide ? 32 : 28);
  const size = file.getUint16(wide ? 54 : 42, true);
  const count = file.getUint16(wide ? 56 : 44, true);
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * size;
    const [flags, offset, address, fileSize, memorySize] = wide ? [4, 8, 24, 32, 40] : [24, 4, 12, 16, 20];
    return {
      type: file.getUint32(at, true),
      flags: file.getUint32(at + flags!, true),
      offset: word(at + offset!),
      address: word(at + address!),
      fileSize: word(at + fileSize!),
      memorySize: word(at + memorySize!),
    };
  });
}

function open(name: string): DataView {
  const bytes = readFileSync(builtFile(name));
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The segment whose file contents hold `address`. */
function loadedAt(segments: Segment[], address: number): Segment | undefined {
  return segments.find(s => s.type === PT_LOAD && address >= s.address && address < s.address + s.fileSize);
}

test('the PVH entry point starts with a write to port 0x80', () => {
  const file = open('guest.elf');
  const segments = segmentsOf(file);
  const note = segments.find(s => s.type === PT_NOTE)!;
  expect(file.getUint32(note.offset, true)).toBe(4);
  expect(file.getUint32(note.offset + 4, true)).toBe(4);
  expect(file.getUint32(note.offset + 8, true)).toBe(XEN_ELFNOTE_PHYS32_ENTRY);
  expect(file.getUint32(note.offset + 12, true)).toBe(0x006e_6558); // "Xen\0"
  const entry = file.getUint32(note.offset + 16, true);
  expect(entry).toBe(Number(file.getBigUint64(24, true)));
  const text = loadedAt(segments, entry)!;
  expect(text.flags & 1).toBe(1);
  // mov $0x0d, %al; out %al, $0x80
  expect(file.getUint32(text.offset + entry - text.address, true)).toBe(0x80e6_0db0);
});

test('the multiboot file is 32-bit and has its header where loaders look', () => {
  const file = open('guest-multiboot.elf');
  expect(file.getUint8(4)).toBe(1);
  let at = 0;
  while (file.getUint32(at, true) !== MULTIBOOT_MAGIC && at < MULTIBOOT_SEARCH) at += 4;
  expect(at).toBeLessThan(MULTIBOOT_SEARCH);
  const sum = MULTIBOOT_MAGIC + file.getUint32(at + 4, true) + file.getUint32(at + 8, true);
  expect(sum % 2 ** 32).toBe(0);
  expect(loadedAt(segmentsOf(file), file.getUint32(24, true))).toBeDefined();
});

test.each(['guest.elf', 'guest-multiboot.elf'])('%s fits in a 2 MiB machine and loads at 1 MiB', name => {
  const file = open(name);
  expect(file.byteLength).toBeLessThan(256 * 1024);
  const loads = segmentsOf(file)
    .filter(s => s.type === PT_LOAD)
    .sort((a, b) => a.address - b.address);
  expect(loads[0]!.address).toBe(0x10_0000);
  let end = 0;
  for (const s of loads) {
    expect(s.address).toBeGreaterThanOrEqual(end);
    expect(s.offset + s.fileSize).toBeLessThanOrEqual(file.byteLength);
    expect(s.memorySize).toBeGreaterThanOrEqual(s.fileSize);
    end = s.address + s.memorySize;
  }
  expect(end).toBeLessThan(0x18_0000);
});
