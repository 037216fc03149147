import type { BootEntry } from '../boot/boot-entry.ts';
import { MP_STATE } from '../kvm/constants.ts';
import { KvmError } from '../kvm/kvm.ts';
import type { CpuidEntry } from '../kvm/structs.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import { bootLapic, bootMsrs, bootRegs, bootSregs, realMode } from './vcpu-boot.ts';

/** Where the boot processor starts: in a kernel, or in firmware, as after power-on. Null if a state will be loaded. */
export type VcpuStart = BootEntry | 'firmware' | null;

/**
 * Puts a new vCPU into its state at boot. With `entry` it is the boot processor, which starts there; without it, an
 * application processor that waits for the guest's INIT and SIPI.
 */
export function setUpVcpu(vcpu: VcpuFd, cpuid: readonly CpuidEntry[], entry: BootEntry | null): void {
  vcpu.setCpuid(cpuid);
  vcpu.setLapic(bootLapic(vcpu.getLapic()));
  const refused = vcpu.setMsrs(bootMsrs());
  if (refused.length > 0) {
    const names = refused.map(({ index }) => `0x${index.toString(16)}`).join(', ');
    throw new KvmError(`this host's KVM refuses to set MSR ${names} of a vCPU`);
  }
  if (entry === null) vcpu.setMpState(MP_STATE.UNINITIALIZED);
  else enterKernel(vcpu, entry);
}

/** Puts a new vCPU of a machine with firmware into its state after power-on, which KVM has set up. */
export function powerOnVcpu(vcpu: VcpuFd, cpuid: readonly CpuidEntry[], isBootProcessor: boolean): void {
  vcpu.setCpuid(cpuid);
  if (isBootProcessor) enterFirmware(vcpu);
  else vcpu.setMpState(MP_STATE.UNINITIALIZED);
}

/** Lets a vCPU in its power-on state start at the reset vector. */
export function enterFirmware(vcpu: VcpuFd): void {
  vcpu.setMpState(MP_STATE.RUNNABLE);
}

/** Lets a vCPU in its power-on state start at an address below 1 MiB, as firmware calls the waking vector. */
export function enterRealMode(vcpu: VcpuFd, address: number): void {
  const { sregs, regs } = realMode(vcpu.getSregs(), address);
  vcpu.setSregs(sregs);
  vcpu.setRegs(regs);
  vcpu.setMpState(MP_STATE.RUNNABLE);
}

/** Lets a vCPU in its power-on state start at the kernel's first instruction. */
export function enterKernel(vcpu: VcpuFd, entry: BootEntry): void {
  vcpu.setSregs(bootSregs(vcpu.getSregs(), entry));
  vcpu.setRegs(bootRegs(entry));
  vcpu.setMpState(MP_STATE.RUNNABLE);
}
