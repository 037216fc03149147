import { KvmError } from '../kvm/kvm.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';

/** A vCPU's time stamp counter. */
export type TscState = {
  value: bigint;
  /** Its frequency. */
  khz: number;
  /**
   * The difference to the host's TSC, modulo 2^64: only differences between vCPUs matter. Null if not exposed by KVM.
   */
  offset: bigint | null;
};

const IA32_TSC = 0x10;
/** How far the host's frequency may differ before the guest's clocks notice, in millionths: NTP corrects up to 500. */
const TOLERANCE = 250;

export function tscState(vcpu: VcpuFd): TscState {
  return { value: tscOf(vcpu), khz: vcpu.getTscKhz(), offset: vcpu.getTscOffset() };
}

/**
 * Continues the TSCs of a machine's vCPUs from saved ones, with the same differences between them. Writing the MSR
 * would not preserve these: KVM takes a value within a second of the expected one for an attempt to synchronize vCPUs,
 * and changes it.
 * @throws KvmError if the host cannot provide the frequency
 */
export function loadTscs(vcpus: readonly VcpuFd[], states: readonly TscState[]): void {
  for (const [i, vcpu] of vcpus.entries()) setFrequency(vcpu, states[i]!.khz);
  const first = vcpus[0]!.getTscOffset();
  if (first === null || states.some(({ offset }) => offset === null)) {
    for (const [i, vcpu] of vcpus.entries())
      vcpu.setMsrs([{ index: IA32_TSC, data: BigInt.asUintN(64, states[i]!.value) }]);
    return;
  }
  const base = first + states[0]!.value - tscOf(vcpus[0]!);
  for (const [i, vcpu] of vcpus.entries()) vcpu.setTscOffset(base + states[i]!.offset! - states[0]!.offset!);
}

/**
 * Gives a vCPU that is being added the TSC of the others. If KVM does not expose offsets, it keeps the one that KVM has
 * given it: that of the last write to any of them.
 */
export function joinTsc(vcpu: VcpuFd, others: TscState): void {
  setFrequency(vcpu, others.khz);
  if (others.offset !== null) vcpu.setTscOffset(others.offset);
}

/** Whether a TSC of the first frequency is as good as one of the second. */
export function fitsFrequency(current: number, khz: number): boolean {
  return Math.abs(current - khz) * 1e6 <= TOLERANCE * khz;
}

function setFrequency(vcpu: VcpuFd, khz: number): void {
  const current = vcpu.getTscKhz();
  if (fitsFrequency(current, khz)) return;
  if (vcpu.setTscKhz(khz)) return;
  throw new KvmError(
    `the guest's TSC runs at ${khz} kHz, this host's at ${current} kHz, and this host cannot scale it: ` +
      'use a host with the same frequency, or one with TSC scaling',
  );
}

function tscOf(vcpu: VcpuFd): bigint {
  return vcpu.getMsrs([IA32_TSC])[0]!.data;
}
