import { describe, expect, it } from 'vitest';
import { cpuMode, formatRegisters } from '../../../src/vmm/cpu/vcpu-dump.ts';
import { kvmRegs, kvmSregs } from '../../../src/vmm/kvm/structs.ts';

const regs = {
  ...kvmRegs.read(new Uint8Array(kvmRegs.size)),
  rax: 0x1234n,
  r15: 0xffff_ffff_8100_0000n,
  rip: 0x10_0000n,
  rflags: 0x246n,
};
const zero = kvmSregs.read(new Uint8Array(kvmSregs.size));
const code = { ...zero.cs, selector: 0x10, limit: 0xffff_ffff, type: 11, present: 1, s: 1, l: 1 };
const sregs = { ...zero, cs: code, cr0: 0x8000_0011n, efer: 0x500n };

describe('a register dump', () => {
  it('has every register, in lines that fit a terminal', () => {
    const dump = formatRegisters(3, regs, sregs);
    expect(dump).toContain('vCPU 3, 64-bit mode, ring 0');
    expect(dump).toContain('RIP=0000000000100000 RFL=00000246 [--I-Z-P-]');
    expect(dump).toContain('RAX=0000000000001234');
    expect(dump).toContain('R15=ffffffff81000000');
    expect(dump).toContain('CS =0010 base=0000000000000000 limit=ffffffff code 64-bit DPL=0');
    expect(dump).toContain('DS =0000 base=0000000000000000 limit=00000000 not present');
    expect(dump).toContain('CR0=80000011');
    expect(Math.max(...dump.split('\n').map(line => line.length))).toBeLessThanOrEqual(80);
  });

  it('names the mode', () => {
    expect(cpuMode(zero)).toBe('real mode');
    expect(cpuMode({ ...zero, cr0: 1n, cs: { ...code, l: 0, db: 1 } })).toBe('32-bit protected mode, ring 0');
    expect(cpuMode({ ...sregs, ss: { ...zero.ss, dpl: 3 } })).toBe('64-bit mode, ring 3');
  });
});
