import { MP_STATE, VCPUEVENT_VALID } from '../kvm/constants.ts';
import { KvmError } from '../kvm/kvm.ts';
import type { CpuidEntry, DebugRegs, MsrEntry, Regs, Sregs, VcpuEvents, Xcrs } from '../kvm/structs.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import { type TscState, tscState } from './tsc-state.ts';

/** The complete state of a vCPU, as plain data. */
export type VcpuState = VcpuRegisters & { cpuid: CpuidEntry[] };

/** The part of it that a guest can change. */
export type VcpuRegisters = {
  regs: Regs;
  sregs: Sregs;
  /** The page directory pointers of PAE paging; null without it. */
  pdptrs: bigint[] | null;
  /** XSAVE area of the host's layout. */
  xsave: Uint8Array;
  /** Null on a host CPU without XSAVE. */
  xcrs: Xcrs | null;
  debugRegs: DebugRegs;
  lapic: Uint8Array;
  /** Everything that KVM can read, without the TSC. */
  msrs: MsrEntry[];
  tsc: TscState;
  events: VcpuEvents;
  mpState: number;
  /** Of the guest's own guests, opaque; null without nested virtualization. */
  nested: Uint8Array | null;
};

/** MSR numbers: Intel SDM vol. 4. */
const IA32_TSC = 0x10;
/** Takes effect only once the APIC timer's mode is set. */
const IA32_TSC_DEADLINE = 0x6e0;
const MTRRS = [
  ...range(0x200, 0x210),
  ...[0x250, 0x258, 0x259],
  ...range(0x268, 0x270),
  // Last: the default type, with the enable bit.
  0x2ff,
];
/** Four for each machine check bank; KVM has 32 banks. */
const MACHINE_CHECK_BANKS = range(0x400, 0x400 + 4 * 32);

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** The MSRs that make up a vCPU's state. @param listed Kvm.msrIndices(), which leaves some out */
export function stateMsrs(listed: readonly number[]): number[] {
  const all = new Set([...listed, ...MTRRS, ...MACHINE_CHECK_BANKS]);
  all.delete(IA32_TSC);
  return [...all];
}

/** `msrIndices` are `stateMsrs`, or those of them that KVM has been able to read. The vCPU must be parked. */
export function saveVcpu(vcpu: VcpuFd, msrIndices: readonly number[]): VcpuState {
  return { ...saveRegisters(vcpu, msrIndices), cpuid: vcpu.getCpuid() };
}

/** Without the CPUID, which stays as it was set. */
export function saveRegisters(vcpu: VcpuFd, msrIndices: readonly number[]): VcpuRegisters {
  // First, because KVM processes pending INIT and SIPI signals here, which changes the rest.
  const mpState = vcpu.getMpState();
  return {
    mpState,
    regs: vcpu.getRegs(),
    sregs: vcpu.getSregs(),
    pdptrs: vcpu.getPdptrs(),
    xsave: vcpu.getXsave(),
    xcrs: vcpu.getXcrs(),
    debugRegs: vcpu.getDebugRegs(),
    lapic: vcpu.getLapic(),
    msrs: vcpu.getMsrs(msrIndices),
    tsc: tscState(vcpu),
    events: vcpu.getEvents(),
    nested: vcpu.getNestedState(),
  };
}

/**
 * Loads everything but the TSC (`loadTscs`) into a parked vCPU, or one that has not run. The order matters: CPUID
 * determines which values are valid, and the APIC base (sregs) comes before the APIC. KVM accepts no other CPUID for a
 * vCPU that has run.
 * @throws KvmError, SystemError, RangeError or TypeError if KVM does not accept it, or it is not a state
 */
export function loadVcpu(vcpu: VcpuFd, state: VcpuState): void {
  if (!sameCpuid(vcpu.getCpuid(), state.cpuid)) vcpu.setCpuid(state.cpuid);
  loadRegisters(vcpu, state);
}

/** Same, for a vCPU that already has its CPUID. */
export function loadRegisters(vcpu: VcpuFd, state: VcpuRegisters): void {
  if (state.nested !== null) vcpu.setNestedState(state.nested);
  vcpu.setSregs(state.sregs);
  if (state.pdptrs !== null) vcpu.setPdptrs(state.pdptrs);
  vcpu.setRegs(state.regs);
  vcpu.setXsave(state.xsave);
  if (state.xcrs !== null) vcpu.setXcrs(state.xcrs);
  vcpu.setDebugRegs(state.debugRegs);
  vcpu.setLapic(state.lapic);
  loadMsrs(vcpu, state.msrs);
  vcpu.setEvents(eventsToLoad(state));
  vcpu.setMpState(state.mpState);
}

/** Ignores bits that the guest changes by its control registers, which KVM keeps up to date and doesn't compare. */
function sameCpuid(a: readonly CpuidEntry[], b: readonly CpuidEntry[]): boolean {
  const FIELDS = ['function', 'index', 'flags', 'eax', 'ebx', 'ecx', 'edx'] as const;
  return a.length === b.length && a.every((entry, i) => FIELDS.every(field => entry[field] === b[i]![field]));
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

function eventsToLoad({ events, mpState }: VcpuRegisters): VcpuEvents {
  // KVM only loads the SIPI vector if this flag is set.
  const sipi = mpState === MP_STATE.SIPI_RECEIVED ? VCPUEVENT_VALID.SIPI_VECTOR : 0;
  return { ...events, flags: events.flags | sipi };
}
