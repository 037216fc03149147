/**
 * The state in which vCPUs start when a kernel is booted directly: what firmware would have set up. KVM's own reset
 * state is real mode at the reset vector. Pure functions on data.
 */
import type { BootEntry, Segment as BootSegment } from '../boot/boot-entry.ts';
import type { MsrEntry, Regs, Segment, Sregs } from '../kvm/structs.ts';

/** General registers at the kernel's first instruction. */
export function bootRegs(entry: BootEntry): Regs {
  const regs = zeroRegs();
  for (const [name, value] of Object.entries(entry.registers)) regs[name as keyof Regs] = BigInt(value);
  return { ...regs, rip: BigInt(entry.rip), rflags: BigInt(entry.rflags) };
}

/** `reset` is KVM's initial state (KVM_GET_SREGS); this replaces the mode, the segments and the tables. */
export function bootSregs(reset: Sregs, entry: BootEntry): Sregs {
  const data = loadedSegment(entry.segments.data);
  return {
    ...reset,
    cs: loadedSegment(entry.segments.code),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    tr: loadedSegment(entry.segments.task),
    ldt: EMPTY_LDT,
    gdt: { base: BigInt(entry.gdt.base), limit: entry.gdt.limit },
    // No IDT yet: an exception before the kernel loads its own is a triple fault.
    idt: { base: 0n, limit: 0 },
    cr0: BigInt(entry.cr0),
    cr2: 0n,
    cr3: BigInt(entry.cr3),
    cr4: BigInt(entry.cr4),
    efer: BigInt(entry.efer),
  };
}

/** Flags with only the always-set one. */
const RFLAGS_NONE = 2n;
/** Extension type: no 80287. */
const CR0_ET = 0x10n;
const REAL_MODE_LIMIT = 0xffff;
const [DATA_SEGMENT, CODE_SEGMENT, TASK_SEGMENT] = [3, 0xb, 0xb];

/** Real mode with interrupts off, at `address` below 1 MiB (ACPI 6.5 §16.3.1); its last hex digit goes into IP. */
export function realMode(reset: Sregs, address: number): { readonly sregs: Sregs; readonly regs: Regs } {
  const segment = (selector: number, type: number, s = 1): Segment => {
    const limits = { base: BigInt(selector << 4), limit: REAL_MODE_LIMIT, selector };
    return { ...limits, type, present: 1, dpl: 0, db: 0, s, l: 0, g: 0, avl: 0, unusable: 0 };
  };
  const data = segment(0, DATA_SEGMENT);
  const sregs = {
    ...reset,
    ...{ cs: segment(address >>> 4, CODE_SEGMENT), ds: data, es: data, fs: data, gs: data, ss: data },
    ...{ tr: segment(0, TASK_SEGMENT, 0), ldt: EMPTY_LDT },
    ...{ gdt: { base: 0n, limit: REAL_MODE_LIMIT }, idt: { base: 0n, limit: 0x3ff } },
    ...{ cr0: CR0_ET, cr2: 0n, cr3: 0n, cr4: 0n, efer: 0n },
  };
  return { sregs, regs: { ...zeroRegs(), rip: BigInt(address & 0xf), rflags: RFLAGS_NONE } };
}

/** MSR numbers and bits: Intel SDM vol. 4. */
const IA32_MISC_ENABLE = 0x1a0;
const IA32_MTRR_DEF_TYPE = 0x2ff;
const MISC_ENABLE_FAST_STRING = 1n;
const MTRR_ENABLE = 1n << 11n;
const MTRR_WRITE_BACK = 6n;

/** For every vCPU, including those started by another one. */
export function bootMsrs(): MsrEntry[] {
  return [
    { index: IA32_MISC_ENABLE, data: MISC_ENABLE_FAST_STRING },
    // With MTRRs off, a kernel treats all RAM as uncached.
    { index: IA32_MTRR_DEF_TYPE, data: MTRR_ENABLE | MTRR_WRITE_BACK },
  ];
}

/** Local APIC registers and their fields: Intel SDM vol. 3 §11.5.1. */
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const LVT_DELIVERY_MODE = 0x700;
const LVT_MASKED = 1 << 16;
const DELIVER_NMI = 0x400;
const DELIVER_EXTINT = 0x700;

/**
 * The 8259's interrupts arrive through LINT0, NMIs through LINT1: virtual wire mode (MultiProcessor Specification 1.4
 * §3.6.2.2). `lapic` is KVM_GET_LAPIC's page.
 * @returns a changed copy.
 */
export function bootLapic(lapic: Uint8Array): Uint8Array {
  const copy = lapic.slice();
  const registers = new DataView(copy.buffer);
  const deliver = (register: number, mode: number) => {
    const kept = registers.getUint32(register, true) & ~(LVT_DELIVERY_MODE | LVT_MASKED);
    registers.setUint32(register, kept | mode, true);
  };
  deliver(LVT_LINT0, DELIVER_EXTINT);
  deliver(LVT_LINT1, DELIVER_NMI);
  return copy;
}

function zeroRegs(): Regs {
  const low = { rax: 0n, rbx: 0n, rcx: 0n, rdx: 0n, rsi: 0n, rdi: 0n, rsp: 0n, rbp: 0n };
  const high = { r8: 0n, r9: 0n, r10: 0n, r11: 0n, r12: 0n, r13: 0n, r14: 0n, r15: 0n };
  return { ...low, ...high, rip: 0n, rflags: 0n };
}

function loadedSegment(segment: BootSegment): Segment {
  return { ...segment, base: BigInt(segment.base), avl: 0, unusable: 0 };
}

const LDT_TYPE = 2;
const EMPTY_LDT: Segment = {
  base: 0n,
  limit: 0,
  selector: 0,
  type: LDT_TYPE,
  present: 0,
  dpl: 0,
  db: 0,
  s: 0,
  l: 0,
  g: 0,
  avl: 0,
  unusable: 1,
};
