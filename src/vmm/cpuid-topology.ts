/**
 * The CPUID leaves that tell a guest how many processors there are and which one it runs on: one package, whose cores
 * have one thread each; APIC ID = vCPU index. Intel SDM vol. 2 (CPUID), AMD APM vol. 3 appendix E.
 */
import { CPUID_FLAG_SIGNIFCANT_INDEX } from './kvm/constants.ts';
import type { CpuidEntry } from './kvm/structs.ts';

/** Level types of leaves 0xb and 0x1f. */
const LEVEL = { none: 0, thread: 1, core: 2 } as const;

const HTT = 1 << 28;
const CMP_LEGACY = 1 << 1;

export type VcpuPlace = { readonly vcpus: number; readonly apicId: number };

/** `entries` as the vCPU at `place` sees them. */
export function withTopology(entries: readonly CpuidEntry[], place: VcpuPlace): CpuidEntry[] {
  const amd = isAmd(entries);
  const kept = entries.filter(entry => !isLevelLeaf(entry.function));
  const placed = kept.map(entry => placeEntry(entry, place, amd));
  return [...placed, ...levelLeaves(entries, place)];
}

function placeEntry(entry: CpuidEntry, place: VcpuPlace, amd: boolean): CpuidEntry {
  switch (entry.function) {
    case 0x1:
      return basicInformation(entry, place);
    case 0x4:
      return cacheSharing({ ...entry, eax: setBits(entry.eax, 26, 6, apicIds(place) - 1) }, place);
    case 0x8000_0001:
      return amd && place.vcpus > 1 ? { ...entry, ecx: (entry.ecx | CMP_LEGACY) >>> 0 } : entry;
    case 0x8000_0008:
      // Threads in the package - 1, and how many bits of an APIC ID tell them apart.
      return amd ? { ...entry, ecx: (place.vcpus - 1) | (idBits(place) << 12) } : entry;
    case 0x8000_001d:
      return cacheSharing(entry, place);
    case 0x8000_001e:
      // Extended APIC ID; core, with one thread; node 0 of 1.
      return { ...entry, eax: place.apicId, ebx: place.apicId & 0xff, ecx: 0, edx: 0 };
    default:
      return entry;
  }
}

/** EBX: initial APIC ID, and how many IDs the package has. */
function basicInformation(entry: CpuidEntry, place: VcpuPlace): CpuidEntry {
  const ebx = setBits(setBits(entry.ebx, 24, 8, place.apicId), 16, 8, Math.min(apicIds(place), 255));
  const edx = place.vcpus > 1 ? entry.edx | HTT : entry.edx & ~HTT;
  return { ...entry, ebx, edx: edx >>> 0 };
}

/** The caches of levels 1 and 2 belong to a core, those above to the package. A cache type of 0 ends the list. */
function cacheSharing(entry: CpuidEntry, place: VcpuPlace): CpuidEntry {
  const type = entry.eax & 0x1f;
  const level = (entry.eax >>> 5) & 7;
  if (type === 0) return { ...entry, eax: 0 };
  const sharing = level <= 2 ? 1 : apicIds(place);
  return { ...entry, eax: setBits(entry.eax, 14, 12, sharing - 1) };
}

/** Leaves 0xb and 0x1f, where the CPU has them. */
function levelLeaves(entries: readonly CpuidEntry[], place: VcpuPlace): CpuidEntry[] {
  const leaves = new Set(entries.map(entry => entry.function).filter(isLevelLeaf));
  const levels = [
    { type: LEVEL.thread, shift: 0, processors: 1 },
    { type: LEVEL.core, shift: idBits(place), processors: place.vcpus },
    { type: LEVEL.none, shift: 0, processors: 0 },
  ];
  return [...leaves].flatMap(leaf =>
    levels.map(({ type, shift, processors }, index) => ({
      function: leaf,
      index,
      flags: CPUID_FLAG_SIGNIFCANT_INDEX,
      eax: shift,
      ebx: processors,
      ecx: index | (type << 8),
      edx: place.apicId,
    })),
  );
}

function isLevelLeaf(leaf: number): boolean {
  return leaf === 0xb || leaf === 0x1f;
}

/** Leaf 0: the vendor's name in EBX, EDX, ECX. */
function isAmd(entries: readonly CpuidEntry[]): boolean {
  const vendor = entries.find(entry => entry.function === 0);
  if (vendor === undefined) return false;
  const text = Buffer.from(new Uint32Array([vendor.ebx, vendor.edx, vendor.ecx]).buffer).toString('latin1');
  return text === 'AuthenticAMD' || text === 'HygonGenuine';
}

/** Bits of an APIC ID that tell the vCPUs apart. */
function idBits({ vcpus }: VcpuPlace): number {
  return Math.ceil(Math.log2(vcpus));
}

function apicIds(place: VcpuPlace): number {
  return 2 ** idBits(place);
}

function setBits(register: number, shift: number, width: number, value: number): number {
  const mask = ((1 << width) - 1) << shift;
  return ((register & ~mask) | ((value << shift) & mask)) >>> 0;
}
