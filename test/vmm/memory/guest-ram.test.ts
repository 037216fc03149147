import { fstatSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuestMemoryError } from '../../../src/devices/guest-memory.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { missingHugepages } from '../../../src/vmm/memory/hugepages.ts';
import { RamError } from '../../../src/vmm/memory/ram-blocks.ts';
import { LocalOwner } from '../../support/local-owner.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

const owner = new LocalOwner();
let ram: GuestRam;
beforeEach(() => {
  // Untouched memory of a memfd costs nothing.
  ram = new GuestRam(owner, { bytes: 3 * GiB + 16 * MiB });
});
afterEach(() => owner.release());

/** The kernel's flags of the mapping of a RAM's first region (VmFlags in /proc/PID/smaps). */
function flagsOf({ regions }: GuestRam): string[] {
  const { host } = regions[0]!;
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const mapping = mappings.find(text => {
    const [start, end] = text
      .split(' ', 1)[0]!
      .split('-')
      .map(address => BigInt(`0x${address}`));
    return start! <= host && host < end!;
  })!;
  return /^VmFlags: (.*)$/m.exec(mapping)![1]!.trim().split(' ');
}

describe('guest RAM', () => {
  it('reads back what was written, little endian, on both sides of the hole', () => {
    for (const address of [0x1001, 3 * GiB - 8, 4 * GiB, 4 * GiB + 16 * MiB - 8]) {
      ram.writeU64(address, 0x8899_aabb_ccdd_eeffn);
      expect(ram.readU64(address)).toBe(0x8899_aabb_ccdd_eeffn);
      expect(ram.readU32(address)).toBe(0xccdd_eeff);
      expect(ram.readU16(address + 6)).toBe(0x8899);
      expect([...ram.readable(address, 2)]).toEqual([0xff, 0xee]);
    }
  });

  it('has the high region where the host has mapped it', () => {
    const [low, high] = ram.regions;
    expect(low).toMatchObject({ name: 'ram-low', address: 0, size: 3 * GiB, offset: 0 });
    expect(high).toMatchObject({ name: 'ram-high', address: 4 * GiB, size: 16 * MiB, offset: 3 * GiB });
    ram.writable(4 * GiB, 1)[0] = 7;
    expect(ram.readable(0, 1)[0]).toBe(0);
  });

  const outside: [string, number, number][] = [
    ['negative', -1, 1],
    ['negative and reaching into RAM', -4, 8],
    ['not a number', Number.NaN, 1],
    ['a fraction', 0.5, 1],
    ['infinite', Number.POSITIVE_INFINITY, 1],
    ['beyond 2^53', 2 ** 60, 1],
    ['at the end of the low region', 3 * GiB, 1],
    ['straddling the end of the low region', 3 * GiB - 1, 2],
    ['in the hole', 3.5 * GiB, 1],
    ['spanning the hole', 3 * GiB - 4096, GiB + 8192],
    ['straddling the end of RAM', 4 * GiB + 16 * MiB - 3, 4],
    ['with a length that is huge', 0, 2 ** 53 - 1],
    ['with a negative length', 4096, -1],
    ['with a length that is not a number', 4096, Number.NaN],
  ];
  it.each(outside)('rejects an address that is %s', (_, address, length) => {
    expect(ram.contains(address, length)).toBe(false);
    expect(() => ram.readable(address, length)).toThrow(GuestMemoryError);
  });

  it('checks every accessor with its own width', () => {
    const end = 4 * GiB + 16 * MiB;
    expect(() => ram.readU16(end - 1)).toThrow(GuestMemoryError);
    expect(() => ram.readU32(end - 3)).toThrow(GuestMemoryError);
    expect(() => ram.readU64(end - 7)).toThrow(GuestMemoryError);
    expect(() => ram.writeU16(3 * GiB - 1, 0)).toThrow(GuestMemoryError);
    expect(() => ram.writeU32(3 * GiB - 3, 0)).toThrow(GuestMemoryError);
    expect(() => ram.writeU64(3 * GiB - 7, 0n)).toThrow(GuestMemoryError);
  });

  it('accepts an empty range, even at the very end', () => {
    expect(ram.contains(3 * GiB, 0)).toBe(true);
    expect(ram.readable(4096, 0)).toHaveLength(0);
  });

  it('rejects a size that is not a multiple of the page size', () => {
    expect(() => new GuestRam(owner, { bytes: MiB + 1 })).toThrow(RamError);
    expect(() => new GuestRam(owner, { bytes: 0 })).toThrow(RamError);
    expect(() => new GuestRam(owner, { bytes: 3 * MiB, hugepages: '2M' })).toThrow(
      'guest memory of 3145728 bytes is not a multiple of 2M, the size of its huge pages',
    );
  });

  it('is private and marked for KSM when it is mergeable', () => {
    const mergeable = new GuestRam(owner, { bytes: 4 * MiB, mergeable: true });
    mergeable.writeU32(MiB, 0x1234_5678);
    expect(mergeable.readU32(MiB)).toBe(0x1234_5678);
    expect(flagsOf(mergeable)).toContain('mg');
    expect(flagsOf(mergeable)).toContain('dd');
    expect(flagsOf(ram)).not.toContain('mg');
  });

  it('reports how many huge pages are missing and how to add them', () => {
    expect(missingHugepages(GiB, '2M', { total: 100, available: 12 })).toBe(
      'the VM needs 512 huge pages of 2M, but only 12 are free: add 500 with ' +
        '`echo 600 | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`',
    );
    // More than any host has: refused when the VM is made, not when the guest touches the memory.
    expect(() => new GuestRam(owner, { bytes: 2 ** 40, hugepages: '2M' })).toThrow(
      /^the VM needs 524288 huge pages/,
    );
  });
});

describe('RAM accessible to host devices', () => {
  it('keeps its pages when it is cleared, because devices would continue to use them', () => {
    const small = new GuestRam(owner, { bytes: 2 * MiB });
    const stored = () => fstatSync(small.blocks[0]!.fd!).blocks * 512;
    small.writable(0, 2 * MiB).fill(0xa5);
    small.pinned = true;
    small.clear();
    expect(small.readable(0, 2 * MiB).every(byte => byte === 0)).toBe(true);
    expect(stored()).toBe(2 * MiB);
    small.pinned = false;
    small.clear();
    expect(stored()).toBe(0);
  });
});
