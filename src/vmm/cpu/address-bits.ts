import type { CpuidEntry } from '../kvm/structs.ts';

const LEAF = 0x8000_0008;
/** For CPUs without the leaf (Intel SDM volume 3 §4.1.4). */
const WITHOUT_LEAF = 36;
/** The limit of four-level page tables, including KVM's for the guest. */
const FOUR_LEVELS = 48;

/**
 * Bits of the physical addresses that a guest can use: EAX 7-0, and 23-16 if KVM maps fewer (AMD APM volume 3 §E.4.7).
 * Models do not change them.
 */
export function physicalAddressBits(cpuid: readonly CpuidEntry[]): number {
  const eax = cpuid.find(entry => entry.function === LEAF)?.eax ?? WITHOUT_LEAF;
  const ofCpu = eax & 0xff;
  const ofGuest = (eax >>> 16) & 0xff;
  return Math.min(ofGuest === 0 ? ofCpu : Math.min(ofGuest, ofCpu), FOUR_LEVELS);
}
