import { describe, expect, it } from 'vitest';
import { CpuModelError, cpuModel, cpuModelNames } from '../../../src/vmm/cpu/cpu-models.ts';
import { apicIdsOf, coordinatesOf, coresOnly } from '../../../src/vmm/cpu/cpu-topology.ts';
import { guestCpuid } from '../../../src/vmm/cpu/cpuid.ts';
import {
  CpuFeatureError,
  hasFeature,
  knownFeatures,
  removeFeatures,
} from '../../../src/vmm/cpu/cpuid-features.ts';
import { missingFeatures } from '../../../src/vmm/cpu/model-cpuid.ts';
import type { CpuidEntry } from '../../../src/vmm/kvm/structs.ts';

type Registers = readonly [eax: number, ebx: number, ecx: number, edx: number];

function leaf(number: number, index: number, [eax, ebx, ecx, edx]: Registers): CpuidEntry {
  return { function: number, index, flags: 0, eax, ebx, ecx, edx };
}

const vendor = (max: number, name: string): CpuidEntry => {
  const [ebx, edx, ecx] = new Uint32Array(Uint8Array.from(Buffer.from(name)).buffer);
  return leaf(0, 0, [max, ebx!, ecx!, edx!]);
};

/** A server CPU with AVX-512 and AMX, as reported by KVM. */
const intel: CpuidEntry[] = [
  vendor(0x1f, 'GenuineIntel'),
  leaf(1, 0, [0xa0671, 0x102_0800, 0x7ffa_3203, 0x0f8b_fbff]),
  leaf(4, 0, [0x400_0121, 0x2c0_003f, 0x3f, 0]),
  leaf(4, 3, [0x400_4163, 0x3c0_003f, 0x7_7fff, 0]),
  leaf(4, 4, [0x400_0000, 0, 0, 0]),
  leaf(7, 0, [2, 0xf1bf_07ab, 0x1841_5f4e, 0x8fc1_0410]),
  leaf(7, 1, [0x1c30, 0, 0, 0]),
  leaf(0xb, 0, [1, 2, 0x100, 9]),
  leaf(0xd, 0, [0x6_02e7, 0x240, 11008, 0]),
  leaf(0xd, 1, [0x1f, 0, 0, 0]),
  leaf(0xd, 2, [256, 576, 0, 0]),
  leaf(0xd, 5, [64, 1088, 0, 0]),
  leaf(0xd, 6, [512, 1152, 0, 0]),
  leaf(0xd, 7, [1024, 1664, 0, 0]),
  leaf(0xd, 9, [8, 2688, 0, 0]),
  leaf(0xd, 17, [64, 2752, 0, 0]),
  leaf(0xd, 18, [8192, 2816, 0, 0]),
  leaf(0x1f, 0, [0, 0, 0, 0]),
  leaf(0x4000_0000, 0, [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]),
  leaf(0x4000_0001, 0, [0x100_7efb, 0, 0, 0]),
  leaf(0x8000_0001, 0, [0, 0, 0x121, 0x2c10_0800]),
  leaf(0x8000_0008, 0, [0x3039, 0, 0, 0]),
];

const amd: CpuidEntry[] = [
  vendor(0xd, 'AuthenticAMD'),
  leaf(1, 0, [0x830f10, 0, 0x7ed8_320b, 0x178b_fbff]),
  leaf(0x8000_0001, 0, [0, 0, 0x75c2_37ff, 0x2fd3_fbff]),
  leaf(0x8000_0008, 0, [0x3030, 0, 0x703f, 0]),
  leaf(0x8000_001d, 3, [0x1c163, 0, 0, 0]),
  leaf(0x8000_001e, 0, [7, 0x103, 0x302, 0]),
];

const options = { remove: [], hideHypervisor: false, tscDeadlineTimer: true } as const;
const alone = { topology: coresOnly(1), apicId: 0 };

function find(entries: readonly CpuidEntry[], number: number, index = 0): CpuidEntry {
  const entry = entries.find(candidate => candidate.function === number && candidate.index === index);
  if (entry === undefined) throw new Error(`no leaf 0x${number.toString(16)}.${index}`);
  return entry;
}

describe('the topology', () => {
  const third = guestCpuid(intel, options, { topology: coresOnly(6), apicId: 3 });

  it('gives each vCPU its APIC ID, and the package its number of IDs', () => {
    expect(find(third, 1).ebx).toBe(0x0308_0800);
    expect(hasFeature(third, 'ht')).toBe(true);
    const single = guestCpuid(intel, options, alone);
    expect(find(single, 1).ebx).toBe(0x0001_0800);
    expect(hasFeature(single, 'ht')).toBe(false);
  });

  it('has one thread per core and all cores in one package', () => {
    for (const number of [0xb, 0x1f]) {
      const levels = [0, 1, 2].map(index => find(third, number, index));
      expect(levels.map(({ eax, ebx, ecx, edx }) => [eax, ebx, ecx, edx])).toEqual([
        [0, 1, 0x100, 3],
        [3, 6, 0x201, 3],
        [0, 0, 2, 3],
      ]);
      expect(levels.every(level => level.flags === 1)).toBe(true);
    }
  });

  it('shares the last cache only', () => {
    expect(find(third, 4, 0).eax).toBe(0x1c00_0121);
    expect(find(third, 4, 3).eax).toBe(0x1c01_c163);
    expect(find(third, 4, 4).eax).toBe(0);
  });

  it("is in AMD's leaves too, and adds no missing leaves", () => {
    const second = guestCpuid(amd, options, { topology: coresOnly(4), apicId: 2 });
    expect(find(second, 0x8000_0008).ecx).toBe(0x2003);
    expect(find(second, 0x8000_001e)).toMatchObject({ eax: 2, ebx: 2, ecx: 0 });
    expect(find(second, 0x8000_001d, 3).eax).toBe(0xc163);
    expect(hasFeature(second, 'cmp_legacy')).toBe(true);
    expect(second.some(entry => entry.function === 0xb)).toBe(false);
    expect(find(third, 0x8000_0008).ecx).toBe(0);
  });
});

describe('a topology of sockets, cores and threads', () => {
  const topology = { sockets: 2, cores: 3, threads: 2 };
  // The second thread of the third core of the second socket.
  const last = { topology, apicId: 0b1_10_1 };

  it('gives each level bits of its own in the APIC ID', () => {
    const ids = apicIdsOf(topology);
    expect(ids).toEqual([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    expect(ids.at(-1)).toBe(last.apicId);
    expect(coordinatesOf(topology, last.apicId)).toEqual({ socket: 1, core: 2, thread: 1 });
    expect(apicIdsOf(coresOnly(6))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('has APIC IDs below the broadcast ID for any topology of 64 vCPUs', () => {
    for (let cores = 1; cores <= 64; cores++) {
      for (let threads = 1; cores * threads <= 64; threads++) {
        const sockets = Math.floor(64 / (cores * threads));
        const ids = apicIdsOf({ sockets, cores, threads });
        expect(new Set(ids).size).toBe(sockets * cores * threads);
        expect(Math.max(...ids)).toBeLessThan(255);
      }
    }
  });

  it('is shown to Intel guests', () => {
    const entries = guestCpuid(intel, options, last);
    expect(find(entries, 1).ebx).toBe(0x0d08_0800);
    for (const number of [0xb, 0x1f]) {
      const levels = [0, 1, 2].map(index => find(entries, number, index));
      expect(levels.map(({ eax, ebx, ecx, edx }) => [eax, ebx, ecx, edx])).toEqual([
        [1, 2, 0x100, 13],
        [3, 6, 0x201, 13],
        [0, 0, 2, 13],
      ]);
    }
    // 4 core IDs in a package; level 1 is shared by the 2 threads of a core, level 3 by the 8 IDs of the package.
    expect(find(entries, 4, 0).eax).toBe(0x0c00_4121);
    expect(find(entries, 4, 3).eax).toBe(0x0c01_c163);
  });

  it('is shown to AMD guests', () => {
    const entries = guestCpuid(amd, options, last);
    expect(find(entries, 0x8000_0008).ecx).toBe(0x3005);
    expect(find(entries, 0x8000_001e)).toMatchObject({ eax: 13, ebx: 0x102, ecx: 1 });
    expect(hasFeature(entries, 'cmp_legacy')).toBe(true);
  });

  it('with sockets only has no hyper-threading bit', () => {
    const entries = guestCpuid(intel, options, {
      topology: { sockets: 4, cores: 1, threads: 1 },
      apicId: 3,
    });
    expect(hasFeature(entries, 'ht')).toBe(false);
    expect(find(entries, 1).ebx).toBe(0x0301_0800);
  });
});

describe('the hypervisor', () => {
  it('is shown by default, and leaves no trace when hidden', () => {
    const shown = guestCpuid(intel, options, alone);
    expect(find(shown, 0x4000_0000).ebx).toBe(0x4b4d_564b);
    expect(hasFeature(shown, 'hypervisor')).toBe(true);
    const hidden = guestCpuid(intel, { ...options, hideHypervisor: true }, alone);
    expect(hidden.some(entry => entry.function >>> 24 === 0x40)).toBe(false);
    expect(hasFeature(hidden, 'hypervisor')).toBe(false);
  });

  it('offers the TSC deadline timer if KVM supports it', () => {
    expect(hasFeature(guestCpuid(intel, options, alone), 'tsc_deadline_timer')).toBe(true);
    const without = intel.map(entry =>
      entry.function === 1 ? { ...entry, ecx: (entry.ecx & ~(1 << 24)) >>> 0 } : entry,
    );
    const none = guestCpuid(without, { ...options, tscDeadlineTimer: false }, alone);
    expect(hasFeature(none, 'tsc_deadline_timer')).toBe(false);
  });
});

describe('removing features', () => {
  const without = (...remove: string[]) => guestCpuid(intel, { ...options, remove }, alone);

  it('clears only their bit', () => {
    const changed = find(without('cx16'), 1);
    expect(changed.ecx).toBe((find(without(), 1).ecx & ~(1 << 13)) >>> 0);
    expect(changed.edx).toBe(find(without(), 1).edx);
  });

  it('also removes dependent features and their state', () => {
    const entries = without('avx512f');
    expect(hasFeature(entries, 'avx512bw')).toBe(false);
    expect(hasFeature(entries, 'avx512_bf16')).toBe(false);
    expect(hasFeature(entries, 'avx2')).toBe(true);
    expect(find(entries, 0xd)).toMatchObject({ eax: 0x6_0207, ecx: 11008 });
    expect(entries.some(entry => entry.function === 0xd && entry.index === 6)).toBe(false);
    const small = without('avx', 'amx_tile');
    expect(find(small, 0xd)).toMatchObject({ eax: 0x203, ecx: 2696 });
    expect(hasFeature(small, 'avx512f')).toBe(false);
    const none = without('xsave');
    expect(none.some(entry => entry.function === 0xd)).toBe(false);
    expect(hasFeature(none, 'fma')).toBe(false);
    expect(hasFeature(none, 'xsaves')).toBe(false);
  });

  it('drops features whose state KVM does not save', () => {
    const noTiles = intel.map(entry =>
      entry.function === 0xd && entry.index === 0 ? { ...entry, eax: 0x2e7 } : entry,
    );
    const entries = guestCpuid(noTiles, options, alone);
    expect(hasFeature(entries, 'amx_int8')).toBe(false);
    expect(hasFeature(entries, 'avx512f')).toBe(true);
  });

  it('clears the bits that AMD repeats in another leaf', () => {
    const entries = guestCpuid(amd, { ...options, remove: ['apic', 'mmx'] }, alone);
    expect(find(entries, 0x8000_0001).edx).toBe(0x2f53_f9ff);
  });

  it('ignores a known feature that the host lacks', () => {
    expect(removeFeatures(intel, ['svm'])).toEqual(intel);
  });

  it('names an unknown feature and the nearest known one', () => {
    expect(() => without('cx17')).toThrow(CpuFeatureError);
    expect(() => without('cx17')).toThrow('there is no CPU feature "cx17": did you mean "cx16"?');
    expect(() => without('avx512-bf16')).toThrow('"avx512_bf16"');
    expect(() => without('')).toThrow(CpuFeatureError);
    expect(() => without('-')).toThrow(CpuFeatureError);
  });

  it('has feature names at the bits defined in the manuals', () => {
    const bit = (number: number, index: number, register: keyof CpuidEntry, name: string) => {
      const all = leaf(number, index, [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff]);
      const [changed] = removeFeatures([all], [name]);
      return Math.log2((~changed![register] >>> 0) >>> 0);
    };
    expect(bit(1, 0, 'edx', 'pbe')).toBe(31);
    expect(bit(1, 0, 'edx', 'sep')).toBe(11);
    expect(bit(1, 0, 'ecx', 'rdrand')).toBe(30);
    expect(bit(1, 0, 'ecx', 'x2apic')).toBe(21);
    expect(bit(7, 0, 'ebx', 'clflushopt')).toBe(23);
    expect(bit(7, 0, 'ebx', 'avx512vl')).toBe(31);
    expect(bit(7, 0, 'ecx', 'la57')).toBe(16);
    expect(bit(7, 0, 'ecx', 'sgx_lc')).toBe(30);
    expect(bit(7, 0, 'edx', 'arch_capabilities')).toBe(29);
    expect(bit(7, 0, 'edx', 'serialize')).toBe(14);
    expect(bit(7, 1, 'eax', 'lam')).toBe(26);
    expect(bit(0xd, 1, 'eax', 'xsaves')).toBe(3);
    expect(bit(0x8000_0001, 0, 'edx', 'rdtscp')).toBe(27);
    expect(bit(0x8000_0001, 0, 'edx', 'pdpe1gb')).toBe(26);
    expect(bit(0x8000_0001, 0, 'ecx', 'topoext')).toBe(22);
    expect(bit(0x8000_0008, 0, 'ebx', 'ibpb')).toBe(12);
    expect(new Set(knownFeatures()).size).toBe(knownFeatures().length);
  });
});

describe('a named CPU model', () => {
  const haswell = guestCpuid(intel, { ...options, model: 'Haswell-noTSX' }, alone);

  it('has the signature, the brand and those features of the model that the host has', () => {
    expect(find(haswell, 1).eax).toBe(0x306c1);
    expect(hasFeature(haswell, 'avx2')).toBe(true);
    for (const name of ['avx512f', 'rtm', 'hle', 'sha_ni', 'amx_tile', 'waitpkg'])
      expect(hasFeature(haswell, name), name).toBe(false);
    expect(find(haswell, 0).eax).toBe(0xd);
    expect(haswell.some(entry => entry.function === 0x1f)).toBe(false);
  });

  it("keeps what the model doesn't define: vendor, topology, hypervisor", () => {
    const { ebx, ecx, edx } = find(intel, 0);
    expect(find(haswell, 0)).toMatchObject({ ebx, ecx, edx });
    expect(hasFeature(haswell, 'hypervisor')).toBe(true);
    expect(hasFeature(haswell, 'x2apic')).toBe(true);
    expect(haswell.some(entry => entry.function === 0x4000_0000)).toBe(true);
    expect(find(haswell, 0xb, 0).ecx).toBe(0x100);
  });

  it('has no XSAVE state of features that it lacks', () => {
    expect(find(haswell, 0xd).eax).toBe(0b111);
    const old = guestCpuid(intel, { ...options, model: 'Nehalem' }, alone);
    expect(old.some(entry => entry.function === 0xd)).toBe(false);
  });

  it('can add and remove features', () => {
    const changed = guestCpuid(
      intel,
      { ...options, model: 'qemu64', add: ['aes', 'avx'], remove: ['cx16'] },
      alone,
    );
    expect(hasFeature(changed, 'aes')).toBe(true);
    expect(hasFeature(changed, 'cx16')).toBe(false);
    // Features that need XSAVE are missing without it.
    expect(hasFeature(changed, 'avx')).toBe(false);
  });

  it('lists the features that the host lacks', () => {
    expect(missingFeatures(intel, { model: 'Haswell', add: ['avx512f'], remove: ['hle'] })).not.toContain(
      'hle',
    );
    expect(missingFeatures(amd, { model: 'Haswell-noTSX', remove: [] })).toEqual(
      expect.arrayContaining(['avx2', 'invpcid', 'tsc_deadline_timer']),
    );
    expect(missingFeatures(intel, { remove: [], add: ['sse4a'] })).toEqual(['sse4a']);
    expect(missingFeatures(intel, { remove: [] })).toEqual([]);
  });

  it('keeps the mirrored bits on AMD', () => {
    const epyc = guestCpuid(amd, { ...options, model: 'EPYC-Milan' }, alone);
    expect(find(epyc, 1).eax).toBe(0xa00f11);
    expect(find(epyc, 0x8000_0001).edx & 0x0183_f3ff).toBe(find(epyc, 1).edx & 0x0183_f3ff);
  });

  it("has all of QEMU's names and aliases", () => {
    const names = cpuModelNames();
    expect(names).toEqual(
      expect.arrayContaining([
        '486',
        'kvm64',
        'Nehalem-IBRS',
        'Haswell-v4',
        'Skylake-Server-noTSX-IBRS',
        'EPYC-IBPB',
        'x86-64-v2-AES',
      ]),
    );
    expect(new Set(names).size).toBe(names.length);
    const known = new Set(knownFeatures());
    for (const name of names) {
      const { brand, features } = cpuModel(name);
      expect(brand.length, name).toBeLessThan(48);
      expect(
        [...features].filter(feature => !known.has(feature)),
        name,
      ).toEqual([]);
    }
    expect(cpuModel('Haswell-v2')).toEqual(cpuModel('Haswell-noTSX'));
    expect(cpuModel('Haswell-noTSX-IBRS').features.has('ibrs')).toBe(true);
    expect(() => cpuModel('Hasswell')).toThrow('there is no CPU model "Hasswell": did you mean "Haswell"?');
    expect(() => cpuModel('constructor')).toThrow(CpuModelError);
  });
});
