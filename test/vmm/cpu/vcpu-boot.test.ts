import { describe, expect, it } from 'vitest';
import type { BootEntry } from '../../../src/vmm/boot/boot-entry.ts';
import { bootLapic, bootRegs, bootSregs } from '../../../src/vmm/cpu/vcpu-boot.ts';
import { kvmSregs } from '../../../src/vmm/kvm/structs.ts';

const flat = { base: 0, limit: 0xffff_ffff, s: 1, dpl: 0, present: 1, g: 1, l: 0, db: 1 } as const;
const entry: BootEntry = {
  protocol: 'pvh',
  mode: 'protected32',
  rip: 0x10_0000,
  rflags: 2,
  registers: { rbx: 0x6000 },
  segments: {
    code: { ...flat, selector: 0x10, type: 0xb },
    data: { ...flat, selector: 0x18, type: 0x3 },
    task: { ...flat, selector: 0x20, type: 0xb, s: 0, limit: 0x67, g: 0, db: 0 },
  },
  gdt: { base: 0x500, limit: 47 },
  cr0: 0x11,
  cr3: 0,
  cr4: 0,
  efer: 0,
};

describe('the boot processor', () => {
  it('has the registers of the entry, and all others zero', () => {
    const regs = bootRegs(entry);
    const { rip, rflags, rbx, ...others } = regs;
    expect({ rip, rflags, rbx }).toEqual({ rip: 0x10_0000n, rflags: 2n, rbx: 0x6000n });
    expect(new Set(Object.values(others))).toEqual(new Set([0n]));
  });

  it('has the mode and segments of the entry, and keeps its APIC base', () => {
    const reset = {
      ...kvmSregs.read(new Uint8Array(kvmSregs.size)),
      apic_base: 0xfee0_0900n,
      cr0: 0x6000_0010n,
    };
    const sregs = bootSregs(reset, entry);
    expect(sregs).toMatchObject({
      cr0: 0x11n,
      efer: 0n,
      apic_base: 0xfee0_0900n,
      gdt: { base: 0x500n, limit: 47 },
    });
    expect(sregs.cs).toMatchObject({ selector: 0x10, type: 0xb, limit: 0xffff_ffff, unusable: 0 });
    for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) expect(sregs[name].selector).toBe(0x18);
    expect(sregs.ldt.unusable).toBe(1);
  });
});

describe('the local APIC', () => {
  it('gets the 8259 through LINT0 and NMIs through LINT1, unmasked', () => {
    const reset = new Uint8Array(1024);
    const registers = new DataView(reset.buffer);
    registers.setUint32(0x350, 0x1_0000, true);
    registers.setUint32(0x360, 0x1_0000, true);
    registers.setUint32(0x20, 0x0300_0000, true);
    const lapic = new DataView(bootLapic(reset).buffer);
    expect(lapic.getUint32(0x350, true)).toBe(0x700);
    expect(lapic.getUint32(0x360, true)).toBe(0x400);
    expect(lapic.getUint32(0x20, true)).toBe(0x0300_0000);
    expect(registers.getUint32(0x350, true)).toBe(0x1_0000);
  });
});
