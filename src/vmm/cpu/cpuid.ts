/** The CPUID that a guest sees. Pure functions on KVM's list of entries. */

import type { CpuidEntry } from '../kvm/structs.ts';
import { hasFeature, removeFeatures } from './cpuid-features.ts';
import { type VcpuPlace, withTopology } from './cpuid-topology.ts';
import { type CpuChoice, withModel } from './model-cpuid.ts';

export type CpuidOptions = CpuChoice & {
  readonly hideHypervisor: boolean;
  /** KVM_CAP_TSC_DEADLINE_TIMER, which KVM leaves out of its list. */
  readonly tscDeadlineTimer: boolean;
};

const TSC_DEADLINE_TIMER = 1 << 24;
const HYPERVISOR = 1 << 31;

/**
 * The CPUID of one vCPU, from what KVM supports on this host (KVM_GET_SUPPORTED_CPUID).
 * @throws CpuFeatureError or CpuModelError for an unknown name.
 */
export function guestCpuid(
  supported: readonly CpuidEntry[],
  options: CpuidOptions,
  place: VcpuPlace,
): CpuidEntry[] {
  let entries = supported.map(entry => (entry.function === 1 ? withLeaf1Bits(entry, options) : entry));
  if (options.hideHypervisor) entries = entries.filter(entry => !isHypervisorLeaf(entry.function));
  entries = removeFeatures(withModel(entries, options), options.remove);
  return withTopology(withMatchingXsave(withMirroredBits(entries)), place);
}

/** Everything that this host can offer a guest, to find what a choice lacks. */
export function hostCpuid(supported: readonly CpuidEntry[], tscDeadlineTimer: boolean): CpuidEntry[] {
  const options = { hideHypervisor: false, tscDeadlineTimer };
  return supported.map(entry => (entry.function === 1 ? withLeaf1Bits(entry, options) : entry));
}

function withLeaf1Bits(
  entry: CpuidEntry,
  options: Pick<CpuidOptions, 'hideHypervisor' | 'tscDeadlineTimer'>,
): CpuidEntry {
  const timer = options.tscDeadlineTimer ? TSC_DEADLINE_TIMER : 0;
  const shown = entry.ecx | timer | HYPERVISOR;
  return { ...entry, ecx: (options.hideHypervisor ? shown & ~HYPERVISOR : shown) >>> 0 };
}

/** 0x4000_0000 to 0x4000_ffff are reserved for hypervisors. */
function isHypervisorLeaf(leaf: number): boolean {
  return leaf >>> 16 === 0x4000;
}

/** On AMD these bits of 0x8000_0001 EDX repeat leaf 1 EDX; on Intel they are 0 (AMD APM vol. 3 §E.4.2). */
const MIRRORED = 0x0183_f3ff;

function withMirroredBits(entries: readonly CpuidEntry[]): CpuidEntry[] {
  const original = entries.find(entry => entry.function === 1);
  if (original === undefined) return [...entries];
  return entries.map(entry =>
    entry.function === 0x8000_0001
      ? { ...entry, edx: (entry.edx & (original.edx | ~MIRRORED)) >>> 0 }
      : entry,
  );
}

/** State components of XSAVE (SDM vol. 1 §13.1) beyond x87 and SSE, and the feature to which each belongs. */
const COMPONENTS: readonly { readonly bit: number; readonly feature: string }[] = [
  { bit: 2, feature: 'avx' },
  { bit: 3, feature: 'mpx' },
  { bit: 4, feature: 'mpx' },
  { bit: 5, feature: 'avx512f' },
  { bit: 6, feature: 'avx512f' },
  { bit: 7, feature: 'avx512f' },
  { bit: 9, feature: 'pku' },
  { bit: 17, feature: 'amx_tile' },
  { bit: 18, feature: 'amx_tile' },
];
/** x87 and SSE state, then the XSAVE header. */
const LEGACY_AREA = 512 + 64;

/** Removes the state of missing features from leaf 0xd, and features whose state KVM won't save. */
function withMatchingXsave(entries: readonly CpuidEntry[]): CpuidEntry[] {
  if (!hasFeature(entries, 'xsave')) return entries.filter(entry => entry.function !== 0xd);
  const components = entries.find(entry => entry.function === 0xd && entry.index === 0)?.eax ?? 0;
  const stateless = COMPONENTS.filter(({ bit }) => (components & (1 << bit)) === 0);
  const usable = removeFeatures(
    entries,
    stateless.map(({ feature }) => feature),
  );
  return withoutComponents(
    usable,
    new Set(COMPONENTS.filter(({ feature }) => !hasFeature(usable, feature)).map(({ bit }) => bit)),
  );
}

function withoutComponents(entries: readonly CpuidEntry[], gone: ReadonlySet<number>): CpuidEntry[] {
  const kept = entries.filter(entry => entry.function !== 0xd || !gone.has(entry.index));
  let size = LEGACY_AREA;
  for (const { function: leaf, index, eax: length, ebx: offset } of kept) {
    if (leaf === 0xd && index >= 2) size = Math.max(size, offset + length);
  }
  let mask = 0;
  for (const bit of gone) mask |= 1 << bit;
  return kept.map(entry => {
    if (entry.function !== 0xd || entry.index !== 0) return entry;
    // KVM keeps EBX, the size of the state that the guest has enabled, up to date.
    return { ...entry, eax: (entry.eax & ~mask) >>> 0, ecx: size };
  });
}
