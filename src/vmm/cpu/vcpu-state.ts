import { MP_STATE, VCPUEVENT_VALID } from '../kvm/constants.ts';
import { KvmError } from '../kvm/kvm.ts';
import type { CpuidEntry, DebugRegs, MsrEntry, Regs, Sregs, VcpuEvents, Xcrs } from '../kvm/structs.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';

/** The complete state of a vCPU, as plain data. */
export type VcpuState = {
  cpuid: CpuidEntry[];
  regs: Regs;
  sregs: Sregs;
  /** XSAVE area of the host's layout. */
  xsave: Uint8Array;
  /** Null on a host CPU without XSAVE. */
  xcrs: Xcrs | null;
  debugRegs: DebugRegs;
  lapic: Uint8Array;
  msrs: MsrEntry[];
  events: VcpuEvents;
  mpState: number;
};

/** It only takes effect once the APIC timer's mode is set. */
const IA32_TSC_DEADLINE = 0x6e0;

/** `msrIndices` are Kvm.msrIndices(). The vCPU must be parked. */
export function saveVcpu(vcpu: VcpuFd, msrIndices: readonly number[]): VcpuState {
  // First, because KVM processes pending INIT and SIPI signals here, which changes the rest.
  const mpState = vcpu.getMpState();
  return {
    mpState,
    cpuid: vcpu.getCpuid(),
    regs: vcpu.getRegs(),
    sregs: vcpu.getSregs(),
    xsave: vcpu.getXsave(),
    xcrs: vcpu.getXcrs(),
    debugRegs: vcpu.getDebugRegs(),
    lapic: vcpu.getLapic(),
    msrs: vcpu.getMsrs(msrIndices),
    events: vcpu.getEvents(),
  };
}

/**
 * Loads a vCPU that has not run, or, for a reset, the parked one that the state came from. The order matters: CPUID
 * determines which values are valid, and the APIC base (sregs) comes before the APIC.
 */
export function loadVcpu(vcpu: VcpuFd, state: VcpuState): void {
  vcpu.setCpuid(state.cpuid);
  vcpu.setSregs(state.sregs);
  vcpu.setRegs(state.regs);
  vcpu.setXsave(state.xsave);
  if (state.xcrs !== null) vcpu.setXcrs(state.xcrs);
  vcpu.setDebugRegs(state.debugRegs);
  vcpu.setLapic(state.lapic);
  loadMsrs(vcpu, state.msrs);
  vcpu.setEvents(eventsToLoad(state));
  vcpu.setMpState(state.mpState);
}

/** It doesn't matter if KVM refuses to set an MSR that already has the value. */
function loadMsrs(vcpu: VcpuFd, msrs: readonly MsrEntry[]): void {
  const isDeadline = ({ index }: MsrEntry) => index === IA32_TSC_DEADLINE;
  const ordered = [...msrs.filter(msr => !isDeadline(msr)), ...msrs.filter(isDeadline)];
  for (const { index, data } of vcpu.setMsrs(ordered)) {
    const [current] = vcpu.getMsrs([index]);
    if (current?.data === data) continue;
    const name = `MSR 0x${index.toString(16)}`;
    throw new KvmError(`this host's KVM refuses 0x${data.toString(16)} for a vCPU's ${name}`);
  }
}

function eventsToLoad({ events, mpState }: VcpuState): VcpuEvents {
  // KVM only loads the SIPI vector if this flag is set.
  const sipi = mpState === MP_STATE.SIPI_RECEIVED ? VCPUEVENT_VALID.SIPI_VECTOR : 0;
  return { ...events, flags: events.flags | sipi };
}
