/** CPU features by their names in /proc/cpuinfo, and how to remove them from a guest's CPUID. */
import { nearest } from '../../text/nearest.ts';
import type { CpuidEntry } from '../kvm/structs.ts';

type Register = 'eax' | 'ebx' | 'ecx' | 'edx';

type FeatureWord = {
  readonly leaf: number;
  readonly index: number;
  readonly register: Register;
  /** From bit 0 up; `-` for a bit without a name. */
  readonly names: readonly string[];
};

/** A name that no CPU feature has. */
export class CpuFeatureError extends Error {
  override readonly name = 'CpuFeatureError';
}

function word(leaf: number, index: number, register: Register, names: string): FeatureWord {
  return { leaf, index, register, names: names.trim().split(/\s+/) };
}

/** Intel SDM vol. 2 (CPUID) and AMD APM vol. 3 appendix E; eight bits a line. */
const WORDS: readonly FeatureWord[] = [
  word(
    0x1,
    0,
    'edx',
    `fpu vme de pse tsc msr pae mce
     cx8 apic - sep mtrr pge mca cmov
     pat pse36 pn clflush - dts acpi mmx
     fxsr sse sse2 ss ht tm ia64 pbe`,
  ),
  word(
    0x1,
    0,
    'ecx',
    `pni pclmulqdq dtes64 monitor ds_cpl vmx smx est
     tm2 ssse3 cid sdbg fma cx16 xtpr pdcm
     - pcid dca sse4_1 sse4_2 x2apic movbe popcnt
     tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor`,
  ),
  word(0x6, 0, 'eax', 'dtherm ida arat - pln - pts hwp'),
  word(
    0x7,
    0,
    'ebx',
    `fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep
     bmi2 erms invpcid rtm cqm - mpx rdt_a
     avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt
     clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl`,
  ),
  word(
    0x7,
    0,
    'ecx',
    `- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 user_shstk
     gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq -
     la57 - - - - - rdpid -
     bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc pks`,
  ),
  word(
    0x7,
    0,
    'edx',
    `- - avx512_4vnniw avx512_4fmaps fsrm - - -
     avx512_vp2intersect - md_clear rtm_always_abort - - serialize -
     tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16
     amx_tile amx_int8 ibrs stibp flush_l1d arch_capabilities - ssbd`,
  ),
  word(
    0x7,
    1,
    'eax',
    `sha512 sm3 sm4 - avx_vnni avx512_bf16 lass cmpccxadd
     - - fzrm fsrs fsrc - - -
     - fred lkgs wrmsrns - amx_fp16 - avx_ifma
     - - lam`,
  ),
  word(
    0x7,
    1,
    'edx',
    `- - - - avx_vnni_int8 avx_ne_convert - -
     amx_complex - avx_vnni_int16 - - - prefetchit -
     - - - avx10`,
  ),
  word(0xd, 1, 'eax', 'xsaveopt xsavec xgetbv1 xsaves'),
  word(
    0x24,
    0,
    'ebx',
    `- - - - - - - -
     - - - - - - - -
     avx10_128 avx10_256 avx10_512`,
  ),
  word(
    0x8000_0001,
    0,
    'edx',
    `- - - - - - - -
     - - - syscall - - - -
     - - - mp nx - mmxext -
     - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow`,
  ),
  word(
    0x8000_0001,
    0,
    'ecx',
    `lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse
     3dnowprefetch osvw ibs xop skinit wdt - lwp
     fma4 tce - nodeid_msr - tbm topoext perfctr_core
     perfctr_nb - bpext ptsc perfctr_llc mwaitx`,
  ),
  word(0x8000_0007, 0, 'edx', '- - - - - - - - nonstop_tsc'),
  word(
    0x8000_0008,
    0,
    'ebx',
    `clzero irperf xsaveerptr - rdpru - - -
     - wbnoinvd - - ibpb - ibrs stibp
     - - - - - - - -
     ssbd virt_ssbd`,
  ),
  // VIA's and Zhaoxin's.
  word(
    0xc000_0001,
    0,
    'edx',
    `- - rng rng_en - - ace ace_en
     ace2 ace2_en phe phe_en pmm pmm_en`,
  ),
];

/** Features that depend on another one, and are removed with it. */
const NEED: readonly { readonly feature: string; readonly without: readonly string[] }[] = [
  { feature: 'xsave', without: ['xsaveopt', 'xsavec', 'xgetbv1', 'xsaves', 'avx', 'mpx', 'pku', 'amx_tile'] },
  {
    feature: 'avx',
    without: ['avx2', 'fma', 'f16c', 'fma4', 'xop', 'vaes', 'vpclmulqdq', 'avx_vnni', 'avx_ifma', 'avx512f'],
  },
  {
    feature: 'avx512f',
    without: knownFeatures().filter(name => /^avx512./.test(name) && name !== 'avx512f'),
  },
  { feature: 'avx10', without: ['avx10_128', 'avx10_256', 'avx10_512'] },
  { feature: 'amx_tile', without: ['amx_bf16', 'amx_int8', 'amx_fp16'] },
];

/** Every name, once. */
export function knownFeatures(): string[] {
  return [...new Set(WORDS.flatMap(({ names }) => names))].filter(name => name !== '-');
}

/** @throws CpuFeatureError naming the first unknown one, and the known name nearest to it. */
export function checkFeatures(names: readonly string[]): void {
  const known = knownFeatures();
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new CpuFeatureError(
      `there is no CPU feature "${name}": did you mean "${nearest(name, known)!.text}"? Names are those of /proc/cpuinfo`,
    );
  }
}

/** `entries` without the features in `names`, or features that depend on them. A missing feature is not an error. */
export function removeFeatures(entries: readonly CpuidEntry[], names: readonly string[]): CpuidEntry[] {
  checkFeatures(names);
  const removed = withDependents(names);
  return entries.map(entry => {
    const changed = { ...entry };
    for (const { leaf, index, register, names: bits } of WORDS) {
      if (entry.function !== leaf || entry.index !== index) continue;
      bits.forEach((name, bit) => {
        if (removed.has(name)) changed[register] = (changed[register] & ~(1 << bit)) >>> 0;
      });
    }
    return changed;
  });
}

/** Bits that no model changes: KVM maintains OSXSAVE and OSPKE, and the hypervisor bit has its own option. */
const NOT_OF_A_MODEL: readonly (readonly [leaf: number, register: Register, bits: number])[] = [
  [1, 'ecx', (1 << 27) | (1 << 31)],
  [1, 'edx', 1 << 28],
  [7, 'ecx', 1 << 4],
  // On AMD these repeat leaf 1 EDX.
  [0x8000_0001, 'edx', 0x0183_f3ff],
  [0x8000_0001, 'ecx', 1 << 1],
];
/** KVM offers it to every guest, and kernels need it above 255 vCPUs: QEMU on KVM adds it to every model. */
const ALWAYS_KEPT = 'x2apic';

/** `entries` with only those features in `wanted` that the host has, with dependencies; unnamed bits are cleared. */
export function keepFeatures(entries: readonly CpuidEntry[], wanted: ReadonlySet<string>): CpuidEntry[] {
  const kept = entries.map(entry => {
    const changed = { ...entry };
    for (const { leaf, index, register, names: bits } of WORDS) {
      if (entry.function !== leaf || entry.index !== index) continue;
      let mask = NOT_OF_A_MODEL.find(([own, of]) => own === leaf && of === register)?.[2] ?? 0;
      bits.forEach((name, bit) => {
        if (wanted.has(name) || name === ALWAYS_KEPT) mask |= 1 << bit;
      });
      changed[register] = (changed[register] & mask) >>> 0;
    }
    return changed;
  });
  return removeFeatures(
    kept,
    NEED.map(({ feature }) => feature).filter(feature => !hasFeature(kept, feature)),
  );
}

/** Whether any of the bits of `name`, a known feature, is set. */
export function hasFeature(entries: readonly CpuidEntry[], name: string): boolean {
  return WORDS.some(({ leaf, index, register, names }) => {
    const bit = names.indexOf(name);
    const entry = entries.find(candidate => candidate.function === leaf && candidate.index === index);
    return bit >= 0 && entry !== undefined && (entry[register] & (1 << bit)) !== 0;
  });
}

/** All features of a CPU by name, and its vendor. */
export type CpuFeatures = { readonly vendor: string; readonly features: readonly string[] };

export function featuresOf(entries: readonly CpuidEntry[]): CpuFeatures {
  const { ebx = 0, edx = 0, ecx = 0 } = entries.find(entry => entry.function === 0) ?? {};
  const vendor = Buffer.alloc(12);
  for (const [index, register] of [ebx, edx, ecx].entries()) vendor.writeUInt32LE(register >>> 0, index * 4);
  return {
    vendor: vendor.toString('latin1'),
    features: knownFeatures().filter(name => hasFeature(entries, name)),
  };
}

function withDependents(names: readonly string[]): Set<string> {
  const all = new Set(names);
  // Iterating a set visits elements added during the iteration.
  for (const name of all) {
    const dependents = NEED.find(({ feature }) => feature === name)?.without ?? [];
    for (const dependent of dependents) all.add(dependent);
  }
  return all;
}
