import type { GuestMemory } from '../../devices/guest-memory.ts';
import { LOW_MEMORY } from '../memory/layout.ts';
import type { BootEntry, BootSegments, Segment } from './boot-entry.ts';

type ModeState = Pick<BootEntry, 'mode' | 'rflags' | 'segments' | 'gdt' | 'cr0' | 'cr3' | 'cr4' | 'efer'>;

/** Intel SDM volume 3 §2.5 and §2.2.1. */
const CR0_PE = 1;
const CR0_ET = 1 << 4;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 1 << 5;
const EFER_LME = 1 << 8;
const EFER_LMA = 1 << 10;
/** Bit 1 is always set; interrupts are off. */
const RFLAGS = 2;

const PRESENT = 1;
const WRITABLE = 2;
const LARGE_PAGE = 1 << 7;
const PAGE = 4096;
const ENTRIES = 512;
const IDENTITY_GIB = 4;

/** 32-bit protected mode with flat segments and no paging: PVH, multiboot, and Linux's 32-bit entry. */
export function protectedMode(memory: GuestMemory): ModeState {
  const segments = flatSegments('protected32');
  return {
    mode: 'protected32',
    rflags: RFLAGS,
    segments,
    gdt: writeGdt(memory, segments),
    cr0: CR0_PE | CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
  };
}

/** 64-bit mode with the first 4 GiB mapped to themselves: Linux's 64-bit entry. */
export function longMode(memory: GuestMemory): ModeState {
  const segments = flatSegments('long64');
  return {
    mode: 'long64',
    rflags: RFLAGS,
    segments,
    gdt: writeGdt(memory, segments),
    cr0: CR0_PG + CR0_PE + CR0_ET,
    cr3: writeIdentityMap(memory),
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}

/**
 * Linux requires its code segment at 0x10 and its data segment at 0x18 (boot.rst, "32-bit boot protocol"); the other
 * protocols leave the selectors open.
 */
function flatSegments(mode: BootEntry['mode']): BootSegments {
  const flat = { base: 0, limit: 0xffff_ffff, s: 1, dpl: 0, present: 1, g: 1 } as const;
  const long = mode === 'long64';
  return {
    code: { ...flat, selector: 0x10, type: 0xb, l: long ? 1 : 0, db: long ? 0 : 1 },
    data: { ...flat, selector: 0x18, type: 0x3, l: 0, db: 1 },
    task: { selector: 0x20, base: 0, limit: 0x67, type: 0xb, s: 0, dpl: 0, present: 1, l: 0, db: 0, g: 0 },
  };
}

function writeGdt(memory: GuestMemory, { code, data, task }: BootSegments): BootEntry['gdt'] {
  const base = LOW_MEMORY.gdt;
  // The task descriptor has 16 bytes in 64-bit mode; its upper half, the base's high bits, is zero.
  const size = task.selector + 16;
  memory.writable(base, size).fill(0);
  for (const segment of [code, data, task]) {
    memory.writeU64(base + segment.selector, encodeDescriptor(segment));
  }
  return { base, limit: size - 1 };
}

function encodeDescriptor(segment: Segment): bigint {
  const limit = segment.g ? segment.limit >>> 12 : segment.limit;
  const access = segment.type | (segment.s << 4) | (segment.dpl << 5) | (segment.present << 7);
  const flags = (segment.l << 1) | (segment.db << 2) | (segment.g << 3);
  const low = BigInt(limit & 0xffff) | (BigInt(segment.base & 0xff_ffff) << 16n) | (BigInt(access) << 40n);
  return low | (BigInt(limit >>> 16) << 48n) | (BigInt(flags) << 52n) | (BigInt(segment.base >>> 24) << 56n);
}

/**
 * @returns the address of the top table (for CR3). Six pages: one PML4, one PDPT, four page directories of 2 MiB pages.
 */
function writeIdentityMap(memory: GuestMemory): number {
  const pml4 = LOW_MEMORY.pageTables;
  const pdpt = pml4 + PAGE;
  const directories = pdpt + PAGE;
  memory.writable(pml4, (2 + IDENTITY_GIB) * PAGE).fill(0);
  memory.writeU64(pml4, BigInt(pdpt | PRESENT | WRITABLE));
  for (let gib = 0; gib < IDENTITY_GIB; gib++) {
    memory.writeU64(pdpt + gib * 8, BigInt((directories + gib * PAGE) | PRESENT | WRITABLE));
  }
  for (let page = 0; page < IDENTITY_GIB * ENTRIES; page++) {
    memory.writeU64(directories + page * 8, BigInt(page * 0x20_0000 + (PRESENT | WRITABLE | LARGE_PAGE)));
  }
  return pml4;
}
