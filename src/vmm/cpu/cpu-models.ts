/**
 * Named CPU models, as in QEMU: family, model and stepping, brand, and the features that a guest sees. The vendor is
 * the host's, as with QEMU on KVM. Names of features are those of /proc/cpuinfo.
 */
import { likely } from '../../text/nearest.ts';

/** A CPU as a guest sees it. */
export type CpuModel = {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** CPUID's largest basic leaf, unless a feature needs more. */
  readonly level: number;
  /** At most 47 characters. */
  readonly brand: string;
  readonly features: ReadonlySet<string>;
};

/** A name that no CPU model has. */
export class CpuModelError extends Error {
  override readonly name = 'CpuModelError';
}

type Row = {
  /** The model that these features are relative to. */
  readonly like?: string;
  readonly signature: readonly [family: number, model: number, stepping: number];
  readonly level: number;
  readonly brand: string;
  /** `+name` and `-name`. */
  readonly change: string;
  /** Versions 2, 3, ...: aliases of each, and its changes to the previous version. */
  readonly versions?: readonly Version[];
};

type Version = readonly [aliases: string, change: string, stepping?: number];

const BASE_32 = '+fpu +de +pse +tsc +msr +mce +cx8 +pge +cmov +pat +fxsr +mmx +sse +sse2 +pae +sep +apic';
const BASE_64 = `${BASE_32} +mtrr +clflush +mca +pse36 +lm +syscall +nx`;
const NO_TSX = '-hle -rtm';

const ROWS: Readonly<Record<string, Row>> = {
  '486': row([4, 8, 0], 1, '486', '+fpu +vme +pse'),
  pentium: row([5, 4, 3], 1, 'Pentium', '+de +tsc +msr +mce +cx8 +mmx +apic', '486'),
  pentium2: row([6, 5, 2], 2, 'Pentium II', '+pae +sep +mtrr +pge +mca +cmov +pat +pse36 +fxsr', 'pentium'),
  pentium3: row([6, 7, 3], 3, 'Pentium III', '+sse', 'pentium2'),
  athlon: row([6, 2, 3], 2, 'Athlon', `${BASE_32} +vme +mtrr +mca +pse36 +mmxext +3dnow +3dnowext`),
  qemu32: row([6, 6, 3], 4, 'QEMU Virtual CPU version 2.5+', `${BASE_32} +pni`),
  kvm32: row([15, 6, 1], 5, 'Common 32-bit KVM processor', `${BASE_32} +vme +mtrr +clflush +mca +pse36 +pni`),
  coreduo: row(
    [6, 14, 8],
    10,
    'Genuine Intel(R) CPU           T2600  @ 2.16GHz',
    `${BASE_32} +vme +mtrr +clflush +mca +pni +nx`,
  ),
  n270: row(
    [6, 28, 2],
    10,
    'Intel(R) Atom(TM) CPU N270   @ 1.60GHz',
    `${BASE_32} +vme +mtrr +clflush +mca +pni +ssse3 +movbe +nx +lahf_lm`,
  ),
  qemu64: row([15, 107, 1], 0xd, 'QEMU Virtual CPU version 2.5+', `${BASE_64} +pni +cx16 +lahf_lm`),
  kvm64: row([15, 6, 1], 0xd, 'Common KVM processor', `${BASE_64} +vme +pni +cx16`),
  phenom: row(
    [16, 2, 3],
    5,
    'AMD Phenom(tm) 9550 Quad-Core Processor',
    `${BASE_64} +vme +pni +cx16 +popcnt +3dnow +3dnowext +mmxext +fxsr_opt +pdpe1gb +rdtscp +lahf_lm +abm +sse4a`,
  ),
  core2duo: row(
    [6, 15, 11],
    10,
    'Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz',
    `${BASE_64} +vme +pni +ssse3 +cx16 +lahf_lm`,
  ),

  Conroe: row(
    [6, 15, 3],
    10,
    'Intel Celeron_4x0 (Conroe/Merom Class Core 2)',
    `${BASE_64} +vme +pni +ssse3 +lahf_lm`,
  ),
  Penryn: row([6, 23, 3], 10, 'Intel Core 2 Duo P9xxx (Penryn Class Core 2)', '+cx16 +sse4_1', 'Conroe'),
  Nehalem: row([6, 26, 3], 11, 'Intel Core i7 9xx (Nehalem Class Core i7)', '+sse4_2 +popcnt', 'Penryn', [
    'Nehalem-IBRS',
    '+ibrs',
  ]),
  Westmere: row(
    [6, 44, 1],
    11,
    'Westmere E56xx/L56xx/X56xx (Nehalem-C)',
    '+aes +pclmulqdq +arat',
    'Nehalem',
    ['Westmere-IBRS', '+ibrs'],
  ),
  SandyBridge: row(
    [6, 42, 1],
    0xd,
    'Intel Xeon E312xx (Sandy Bridge)',
    '+avx +xsave +xsaveopt +tsc_deadline_timer +x2apic +rdtscp',
    'Westmere',
    ['SandyBridge-IBRS', '+ibrs'],
  ),
  IvyBridge: row(
    [6, 58, 9],
    0xd,
    'Intel Xeon E3-12xx v2 (Ivy Bridge)',
    '+f16c +rdrand +fsgsbase +smep +erms',
    'SandyBridge',
    ['IvyBridge-IBRS', '+ibrs'],
  ),
  Haswell: row(
    [6, 60, 4],
    0xd,
    'Intel Core Processor (Haswell)',
    '+fma +movbe +pcid +bmi1 +bmi2 +hle +rtm +avx2 +invpcid +abm',
    'IvyBridge',
    ['Haswell-noTSX', NO_TSX, 1],
    ['Haswell-IBRS', '+hle +rtm +ibrs', 4],
    ['Haswell-noTSX-IBRS', NO_TSX, 1],
  ),
  Broadwell: row(
    [6, 61, 2],
    0xd,
    'Intel Core Processor (Broadwell)',
    '+rdseed +adx +smap +3dnowprefetch',
    'Haswell',
    ['Broadwell-noTSX', NO_TSX],
    ['Broadwell-IBRS', '+hle +rtm +ibrs'],
    ['Broadwell-noTSX-IBRS', NO_TSX],
  ),
  'Skylake-Client': row(
    [6, 94, 3],
    0xd,
    'Intel Core Processor (Skylake)',
    '+xsavec +xgetbv1',
    'Broadwell',
    ['Skylake-Client-IBRS', '+ibrs'],
    ['Skylake-Client-noTSX-IBRS', NO_TSX],
    ['', '+xsaves'],
  ),
  'Skylake-Server': row(
    [6, 85, 4],
    0xd,
    'Intel Xeon Processor (Skylake)',
    '+pdpe1gb +clwb +avx512f +avx512dq +avx512bw +avx512cd +avx512vl +pku',
    'Skylake-Client',
    ['Skylake-Server-IBRS', '+clflushopt +ibrs -pku'],
    ['Skylake-Server-noTSX-IBRS', NO_TSX],
    ['', '+pku'],
    ['', '+xsaves'],
  ),
  'Cascadelake-Server': row(
    [6, 85, 6],
    0xd,
    'Intel Xeon Processor (Cascadelake)',
    '+clflushopt +avx512_vnni +ibrs +ssbd',
    'Skylake-Server',
    ['', '+arch_capabilities'],
    ['Cascadelake-Server-noTSX', NO_TSX],
    ['', ''],
    ['', '+xsaves'],
  ),
  Cooperlake: row(
    [6, 85, 10],
    0xd,
    'Intel Xeon Processor (Cooperlake)',
    '+avx512_bf16 +stibp +arch_capabilities',
    'Cascadelake-Server',
    ['', '+xsaves'],
  ),
  'Icelake-Server': row(
    [6, 134, 0],
    0xd,
    'Intel Xeon Processor (Icelake)',
    `+clflushopt +avx512vbmi +umip +avx512_vbmi2 +gfni +vaes +vpclmulqdq +avx512_vnni +avx512_bitalg
     +avx512_vpopcntdq +la57 +wbnoinvd +ibrs +ssbd`,
    'Skylake-Server',
    ['Icelake-Server-noTSX', NO_TSX],
    ['', '+arch_capabilities'],
    ['', '+sha_ni +avx512ifma +rdpid +fsrm'],
    ['', '+xsaves'],
    ['', ''],
    ['', '-hle -rtm'],
  ),
  SapphireRapids: row(
    [6, 143, 4],
    0x20,
    'Intel Xeon Processor (SapphireRapids)',
    `+clflushopt +avx512vbmi +umip +avx512_vbmi2 +gfni +vaes +vpclmulqdq +avx512_vnni +avx512_bitalg +avx512_vpopcntdq
     +la57 +rdpid +bus_lock_detect +wbnoinvd +ibrs +ssbd +stibp +arch_capabilities +sha_ni +avx512ifma +fsrm +serialize +tsxldtrk
     +amx_bf16 +amx_tile +amx_int8 +avx512_fp16 +avx_vnni +avx512_bf16 +fzrm +fsrs +fsrc +xsaves`,
    'Skylake-Server',
    ['', ''],
    ['', '+cldemote +movdiri +movdir64b'],
  ),
  GraniteRapids: row(
    [6, 173, 0],
    0x20,
    'Intel Xeon Processor (GraniteRapids)',
    '+amx_fp16 +prefetchit',
    'SapphireRapids',
    ['', '+cldemote +movdiri +movdir64b'],
  ),
  SierraForest: row(
    [6, 175, 0],
    0x23,
    'Intel Xeon Processor (SierraForest)',
    `+clflushopt +clwb +pdpe1gb +pku +umip +gfni +vaes +vpclmulqdq +rdpid +bus_lock_detect +wbnoinvd +ibrs +ssbd +stibp
     +arch_capabilities +sha_ni +fsrm +serialize +avx_vnni +avx_ifma +avx_vnni_int8 +avx_ne_convert +cmpccxadd +fzrm +fsrs +fsrc
     +xsaves ${NO_TSX}`,
    'Skylake-Client',
    ['', '+cldemote +movdiri +movdir64b'],
  ),
  Denverton: row(
    [6, 95, 1],
    21,
    'Intel Atom Processor (Denverton)',
    `+pdpe1gb +rdtscp +pclmulqdq +aes +x2apic +movbe +popcnt +tsc_deadline_timer +xsave +rdrand +arat +3dnowprefetch +fsgsbase
     +smep +erms +mpx +rdseed +smap +clflushopt +sha_ni +ibrs +ssbd +arch_capabilities +xsaveopt +xsavec +xgetbv1`,
    'Nehalem',
    ['', '-mpx'],
    ['', '+xsaves'],
  ),
  Snowridge: row(
    [6, 134, 1],
    27,
    'Intel Atom Processor (SnowRidge)',
    '+clwb +umip +gfni +cldemote +movdiri +movdir64b +ibrs +ssbd +stibp',
    'Denverton',
    ['', '-mpx'],
    ['', '+xsaves'],
    ['', ''],
  ),
  KnightsMill: row(
    [6, 133, 0],
    0xd,
    'Intel Xeon Phi Processor (Knights Mill)',
    `+pdpe1gb +avx512f +avx512cd +avx512pf +avx512er +avx512_vpopcntdq +avx512_4vnniw +avx512_4fmaps
     -pcid -invpcid ${NO_TSX} -smap`,
    'Broadwell',
  ),

  Opteron_G1: row([15, 6, 1], 5, 'AMD Opteron 240 (Gen 1 Class Opteron)', `${BASE_64} +vme +pni`),
  Opteron_G2: row([15, 6, 1], 5, 'AMD Opteron 22xx (Gen 2 Class Opteron)', '+cx16 +lahf_lm', 'Opteron_G1'),
  Opteron_G3: row(
    [16, 2, 3],
    5,
    'AMD Opteron 23xx (Gen 3 Class Opteron)',
    '+popcnt +rdtscp +misalignsse +sse4a +abm',
    'Opteron_G2',
  ),
  Opteron_G4: row(
    [21, 1, 2],
    0xd,
    'AMD Opteron 62xx class CPU',
    '+avx +xsave +aes +sse4_2 +sse4_1 +ssse3 +pclmulqdq +pdpe1gb +fma4 +xop +3dnowprefetch',
    'Opteron_G3',
  ),
  Opteron_G5: row([21, 2, 0], 0xd, 'AMD Opteron 63xx class CPU', '+f16c +fma +tbm', 'Opteron_G4'),
  EPYC: row(
    [23, 1, 2],
    0xd,
    'AMD EPYC Processor',
    `${BASE_64} +vme +pni +rdrand +f16c +avx +xsave +aes +popcnt +movbe +sse4_2 +sse4_1 +cx16 +fma +ssse3 +pclmulqdq +rdtscp +pdpe1gb
     +fxsr_opt +mmxext +osvw +3dnowprefetch +misalignsse +sse4a +abm +cr8_legacy +lahf_lm +fsgsbase +bmi1 +avx2 +smep +bmi2 +rdseed
     +adx +smap +clflushopt +sha_ni +xsaveopt +xsavec +xgetbv1 +arat`,
    undefined,
    ['EPYC-IBPB', '+ibpb'],
    ['', '+perfctr_core +clzero +xsaveerptr +xsaves'],
    ['', ''],
  ),
  'EPYC-Rome': row(
    [23, 49, 0],
    0xd,
    'AMD EPYC-Rome Processor',
    '+clwb +rdpid +umip +wbnoinvd +ibpb +stibp +topoext +perfctr_core +clzero +xsaveerptr +xsaves',
    'EPYC',
    ['', '+ibrs +ssbd'],
    ['', ''],
    ['', '-xsaves'],
  ),
  'EPYC-Milan': row(
    [25, 1, 1],
    0xd,
    'AMD EPYC-Milan Processor',
    '+pcid +invpcid +erms +fsrm +pku +ibrs +ssbd',
    'EPYC-Rome',
    ['', '+vaes +vpclmulqdq'],
  ),
  'EPYC-Genoa': row(
    [25, 17, 0],
    0xd,
    'AMD EPYC-Genoa Processor',
    `+vaes +vpclmulqdq +avx512f +avx512dq +avx512ifma +avx512cd +avx512bw +avx512vl +avx512_bf16 +avx512vbmi +avx512_vbmi2 +gfni
     +avx512_vnni +avx512_bitalg +avx512_vpopcntdq +la57`,
    'EPYC-Milan',
    ['', ''],
  ),
  'EPYC-Turin': row(
    [26, 0, 0],
    0xd,
    'AMD EPYC-Turin Processor',
    '+movdiri +movdir64b +avx512_vp2intersect +avx_vnni',
    'EPYC-Genoa',
  ),
  Dhyana: row([24, 0, 1], 0xd, 'Hygon Dhyana Processor', '-sha_ni +ibpb', 'EPYC', ['', '+xsaves']),

  // The psABI's levels. Proxmox defines them as models based on qemu64.
  'x86-64-v1': row([15, 107, 1], 0xd, 'QEMU Virtual CPU version 2.5+', '-cx16 -lahf_lm', 'qemu64'),
  'x86-64-v2': row(
    [15, 107, 1],
    0xd,
    'QEMU Virtual CPU version 2.5+',
    '+popcnt +sse4_1 +sse4_2 +ssse3',
    'qemu64',
  ),
  'x86-64-v2-AES': row([15, 107, 1], 0xd, 'QEMU Virtual CPU version 2.5+', '+aes', 'x86-64-v2'),
  'x86-64-v3': row(
    [15, 107, 1],
    0xd,
    'QEMU Virtual CPU version 2.5+',
    '+avx +avx2 +bmi1 +bmi2 +f16c +fma +abm +movbe +xsave',
    'x86-64-v2-AES',
  ),
  'x86-64-v4': row(
    [15, 107, 1],
    0xd,
    'QEMU Virtual CPU version 2.5+',
    '+avx512f +avx512bw +avx512cd +avx512dq +avx512vl',
    'x86-64-v3',
  ),
};

function row(
  signature: Row['signature'],
  level: number,
  brand: string,
  change: string,
  like?: string,
  ...versions: Version[]
): Row {
  return { signature, level, brand, change, versions, ...(like !== undefined && { like }) };
}

/** Every name of a model: `Haswell`, `Haswell-noTSX`, `Haswell-v2`. */
export function cpuModelNames(): string[] {
  return [...names().keys()];
}

/** By name: the row, and its version. */
let byName: ReadonlyMap<string, { readonly key: string; readonly version: number }> | null = null;

function names(): NonNullable<typeof byName> {
  byName ??= new Map(
    Object.entries(ROWS).flatMap(([key, { versions = [] }]) => {
      const first = [key, ...(key.startsWith('x86-64-') ? [] : [`${key}-v1`])];
      return [
        ...first.map(name => [name, { key, version: 1 }] as const),
        ...versions.flatMap(([alias], index) =>
          [alias, `${key}-v${index + 2}`]
            .filter(name => name !== '')
            .map(name => [name, { key, version: index + 2 }] as const),
        ),
      ];
    }),
  );
  return byName;
}

/** @throws CpuModelError suggesting the nearest name */
export function cpuModel(name: string): CpuModel {
  const found = names().get(name);
  if (found === undefined) {
    const meant = meantName(name);
    const advice = meant === null ? 'use a model of QEMU, such as Haswell' : `did you mean "${meant}"?`;
    throw new CpuModelError(`there is no CPU model "${name}": ${advice}`);
  }
  const { signature, level, brand, versions = [] } = ROWS[found.key]!;
  const [family, model, stepping] = signature;
  const changes = versions.slice(0, found.version - 1);
  const features = featuresOf(found.key);
  for (const [, change] of changes) apply(features, change);
  return {
    family,
    model,
    stepping: changes.findLast(([, , own]) => own !== undefined)?.[2] ?? stepping,
    level,
    brand,
    features,
  };
}

/** The model that a misspelled or abbreviated name refers to, ignoring case. */
function meantName(name: string): string | null {
  const text = name.toLowerCase();
  const all = new Map(cpuModelNames().map(each => [each.toLowerCase(), each]));
  const start = text === '' ? undefined : [...all.keys()].find(each => each.startsWith(text));
  return all.get(start ?? likely(text, [...all.keys()]) ?? '') ?? null;
}

/** The features of the first version. */
function featuresOf(key: string): Set<string> {
  const { like, change } = ROWS[key]!;
  const features = like === undefined ? new Set<string>() : featuresOf(like);
  apply(features, change);
  return features;
}

function apply(features: Set<string>, change: string): void {
  for (const word of change.split(/\s+/)) {
    if (word.startsWith('+')) features.add(word.slice(1));
    else features.delete(word.slice(1));
  }
}
