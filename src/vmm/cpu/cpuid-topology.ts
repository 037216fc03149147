/**
 * The CPUID leaves that describe the processors and the one on which the guest runs: sockets, their cores, and the
 * cores' threads. Intel SDM vol. 2 (CPUID), AMD APM vol. 3 appendix E.
 */

import { CPUID_FLAG_SIGNIFCANT_INDEX } from '../kvm/constants.ts';
import type { CpuidEntry } from '../kvm/structs.ts';
import { type CpuTopology, coordinatesOf, coreBits, threadBits } from './cpu-topology.ts';

/** Level types of leaves 0xb and 0x1f. */
const LEVEL = { none: 0, thread: 1, core: 2 } as const;

const HTT = 1 << 28;
const CMP_LEGACY = 1 << 1;

/** One vCPU among those of its machine. */
export type VcpuPlace = { readonly topology: CpuTopology; readonly apicId: number };

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
      return cacheSharing(
        { ...entry, eax: setBits(entry.eax, 26, 6, 2 ** coreBits(place.topology) - 1) },
        place,
      );
    case 0x8000_0001:
      return amd && processors(place) > 1 ? { ...entry, ecx: (entry.ecx | CMP_LEGACY) >>> 0 } : entry;
    case 0x8000_0008:
      // Threads in the package - 1, and how many bits of an APIC ID distinguish them.
      return amd ? { ...entry, ecx: (processors(place) - 1) | (packageBits(place) << 12) } : entry;
    case 0x8000_001d:
      return cacheSharing(entry, place);
    case 0x8000_001e:
      return coreIdentifiers(entry, place);
    default:
      return entry;
  }
}

/** EBX: initial APIC ID, and the number of IDs in the package. */
function basicInformation(entry: CpuidEntry, place: VcpuPlace): CpuidEntry {
  const ebx = setBits(setBits(entry.ebx, 24, 8, place.apicId), 16, 8, Math.min(apicIds(place), 255));
  const edx = processors(place) > 1 ? entry.edx | HTT : entry.edx & ~HTT;
  return { ...entry, ebx, edx: edx >>> 0 };
}

/** The caches of levels 1 and 2 belong to a core, those above to the package. A cache type of 0 ends the list. */
function cacheSharing(entry: CpuidEntry, place: VcpuPlace): CpuidEntry {
  const type = entry.eax & 0x1f;
  const level = (entry.eax >>> 5) & 7;
  if (type === 0) return { ...entry, eax: 0 };
  const sharing = level <= 2 ? 2 ** threadBits(place.topology) : apicIds(place);
  return { ...entry, eax: setBits(entry.eax, 14, 12, sharing - 1) };
}

/** Extended APIC ID; core in its package, and threads per core; node, one for each package. */
function coreIdentifiers(entry: CpuidEntry, { topology, apicId }: VcpuPlace): CpuidEntry {
  const { socket, core } = coordinatesOf(topology, apicId);
  return { ...entry, eax: apicId, ebx: core | ((topology.threads - 1) << 8), ecx: socket, edx: 0 };
}

/** Leaves 0xb and 0x1f, if the CPU has them. */
function levelLeaves(entries: readonly CpuidEntry[], place: VcpuPlace): CpuidEntry[] {
  const leaves = new Set(entries.map(entry => entry.function).filter(isLevelLeaf));
  const levels = [
    { type: LEVEL.thread, shift: threadBits(place.topology), count: place.topology.threads },
    { type: LEVEL.core, shift: packageBits(place), count: processors(place) },
    { type: LEVEL.none, shift: 0, count: 0 },
  ];
  return [...leaves].flatMap(leaf =>
    levels.map(({ type, shift, count }, index) => ({
      function: leaf,
      index,
      flags: CPUID_FLAG_SIGNIFCANT_INDEX,
      eax: shift,
      ebx: count,
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

/** vCPUs per package. */
function processors({ topology: { cores, threads } }: VcpuPlace): number {
  return cores * threads;
}

/** Bits of an APIC ID that distinguish the vCPUs of a package. */
function packageBits({ topology }: VcpuPlace): number {
  return coreBits(topology) + threadBits(topology);
}

function apicIds(place: VcpuPlace): number {
  return 2 ** packageBits(place);
}

function setBits(register: number, shift: number, width: number, value: number): number {
  const mask = ((1 << width) - 1) << shift;
  return ((register & ~mask) | ((value << shift) & mask)) >>> 0;
}
