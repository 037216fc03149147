/** Turns a named CPU model into CPUID: what KVM supports on this host, minus what the model lacks. Pure functions. */
import type { CpuidEntry } from '../kvm/structs.ts';
import { type CpuModel, cpuModel } from './cpu-models.ts';
import { checkFeatures, hasFeature, keepFeatures } from './cpuid-features.ts';

/** The CPU chosen for a guest. */
export type CpuChoice = {
  /** A name of `cpu-models.ts`; default: the host's own CPU. */
  readonly model?: string | undefined;
  /** Names of /proc/cpuinfo. */
  readonly add?: readonly string[];
  readonly remove: readonly string[];
};

/** Leaves that no named model has: performance counters, SGX, processor trace, and those of AMD features. */
const HOST_ONLY_LEAVES = new Set([
  0xa, 0x12, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1b, 0x23, 0x24, 0x8000_001b, 0x8000_001f, 0x8000_0021,
  0x8000_0022,
]);
/** Palette and matrix unit of AMX. */
const AMX_LEAVES = [0x1d, 0x1e];
const BRAND = { first: 0x8000_0002, leaves: 3, bytes: 16 } as const;
/** Largest extended leaf: Intel SDM vol. 2 has none above `plain`; `topology` is AMD's. */
const LAST_EXTENDED = { plain: 0x8000_0008, topology: 0x8000_001e } as const;

/**
 * The features chosen for a guest, by name; null for everything that the host has.
 * @throws CpuModelError, CpuFeatureError
 */
export function wantedFeatures({ model, add = [], remove }: CpuChoice): ReadonlySet<string> | null {
  checkFeatures([...add, ...remove]);
  if (model === undefined) return null;
  const wanted = new Set([...cpuModel(model).features, ...add]);
  for (const name of remove) wanted.delete(name);
  return wanted;
}

/** The chosen features that this host lacks, sorted by name. @param host everything that it can offer */
export function missingFeatures(host: readonly CpuidEntry[], choice: CpuChoice): string[] {
  const wanted = wantedFeatures(choice) ?? new Set(choice.add ?? []);
  return [...wanted].filter(name => !hasFeature(host, name)).sort();
}

/** `entries` with a model's signature, brand and features; the vendor stays the host's, as with QEMU on KVM. */
export function withModel(entries: readonly CpuidEntry[], choice: CpuChoice): CpuidEntry[] {
  const wanted = wantedFeatures(choice);
  if (wanted === null || choice.model === undefined) return [...entries];
  const model = cpuModel(choice.model);
  const level = lastLeaf(entries, model, wanted);
  const lastExtended = wanted.has('topoext') ? LAST_EXTENDED.topology : LAST_EXTENDED.plain;
  const amx = wanted.has('amx_tile');
  const kept = entries.filter(({ function: leaf }) => {
    if (HOST_ONLY_LEAVES.has(leaf) || (AMX_LEAVES.includes(leaf) && !amx)) return false;
    return leaf >= 0x8000_0000 ? leaf <= lastExtended : leaf >= 0x4000_0000 || leaf <= level;
  });
  return keepFeatures(kept, wanted).map(entry => {
    const { function: leaf } = entry;
    if (leaf === 0) return { ...entry, eax: level };
    if (leaf === 1) return { ...entry, eax: signature(model) };
    if (leaf === 0x8000_0000) return { ...entry, eax: Math.min(entry.eax, lastExtended) };
    if (leaf >= BRAND.first && leaf < BRAND.first + BRAND.leaves)
      return { ...entry, ...brandPart(model.brand, leaf - BRAND.first) };
    return entry;
  });
}

/** The model's last leaf, or that needed by its features, up to the host's. */
function lastLeaf(entries: readonly CpuidEntry[], model: CpuModel, wanted: ReadonlySet<string>): number {
  const host = entries.find(entry => entry.function === 0)?.eax ?? model.level;
  const needed = wanted.has('amx_tile') ? 0x1e : wanted.has('xsave') ? 0xd : 0xb;
  return Math.min(host, Math.max(model.level, needed));
}

/** Leaf 1 EAX (Intel SDM vol. 2, figure 3-6). */
function signature({ family, model, stepping }: CpuModel): number {
  const base = Math.min(family, 0xf);
  return (
    (((family - base) << 20) | ((model >>> 4) << 16) | (base << 8) | ((model & 0xf) << 4) | stepping) >>> 0
  );
}

function brandPart(brand: string, part: number): Pick<CpuidEntry, 'eax' | 'ebx' | 'ecx' | 'edx'> {
  const bytes = Buffer.alloc(BRAND.leaves * BRAND.bytes);
  bytes.write(brand.slice(0, bytes.length - 1), 'latin1');
  const at = (register: number) => bytes.readUInt32LE(part * BRAND.bytes + register * 4);
  return { eax: at(0), ebx: at(1), ecx: at(2), edx: at(3) };
}
