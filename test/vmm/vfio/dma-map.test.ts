import { beforeEach, describe, expect, test } from 'vitest';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { SHADOW_RAM, SHADOW_ROM, Shadow } from '../../../src/vmm/memory/shadow.ts';
import { DmaMap } from '../../../src/vmm/vfio/dma-map.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeDmaDomain } from '../../support/fake-dma-domain.ts';

const PAGE = 4096;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

let space: AddressSpace;
let domain: FakeDmaDomain;
let warnings: string[];
let map: DmaMap;
let steps: (() => void)[];

const newMap = (pageSize = PAGE) => new DmaMap({ domain, warn: text => warnings.push(text), pageSize });
const later = (step: () => void) => steps.push(step);
const runStep = () => steps.shift()!();
const runSteps = () => {
  let count = 0;
  for (; steps.length > 0; count++) runStep();
  return count;
};
/** A block without contents: only its addresses matter. */
const block = (name: string, size: number, more = {}) => ({ ...fakeBlock(name, PAGE), size, ...more });
const addRam = (start: number, size: number, name = 'ram-low') =>
  space.add({ kind: 'ram', name, start, size, block: block(name, size) });
const addRegisters = (start: number, size = 4 * PAGE) =>
  space.add({
    kind: 'device',
    name: 'hostdev0',
    start,
    size,
    block: block('0000:01:10.0 BAR 0', size, { registers: true }),
  });

beforeEach(() => {
  space = new AddressSpace({ counters: () => UNCOUNTED });
  domain = new FakeDmaDomain();
  warnings = [];
  steps = [];
  map = newMap();
});

describe('a machine that starts with devices', () => {
  test('has all its memory mapped where the guest has it', () => {
    addRam(0, 3 * GiB);
    addRam(4 * GiB, GiB, 'ram-high');
    map.start(space);
    expect(domain.places).toEqual(['0+c0000000', '100000000+40000000']);
    expect(map.mappings).toEqual({ bytes: 4 * GiB, count: 2 });
    expect(domain.mappings.every(({ writable }) => writable)).toBe(true);
  });

  test('does not start with memory at reserved addresses, and leaves nothing mapped', () => {
    domain.reserved = [{ start: 0xfd_0000_0000, end: 0x100_0000_0000 }];
    addRam(0, 3 * GiB);
    addRam(4 * GiB, 0xfd_0000_0000, 'ram-high');
    expect(() => map.start(space)).toThrow(
      /ram-high at 0x100000000-0xfdffffffff .*reserves addresses from 0xfd00000000/,
    );
    expect([domain.places, map.active]).toEqual([[], false]);
    // It can be tried again.
    domain.reserved = [];
    map.start(space);
    expect(map.mappings.count).toBe(2);
  });

  test('reports how much memory it must be able to lock', () => {
    domain.refuse = ({ iova }) => (iova >= 4 * GiB ? 'ENOMEM' : null);
    addRam(0, 3 * GiB);
    addRam(4 * GiB, GiB, 'ram-high');
    expect(() => map.start(space)).toThrow(/(lock|need) 4096 MiB/);
    expect(domain.places).toEqual([]);
  });

  test('names the limit on mappings', () => {
    domain.refuse = () => 'ENOSPC';
    addRam(0, MiB);
    expect(() => map.start(space)).toThrow(/dma_entry_limit/);
  });
});

describe('changes of memory', () => {
  test('are followed: moved memory is unmapped before it is mapped', () => {
    addRam(0, GiB);
    map.start(space);
    const video = space.add({
      kind: 'device',
      name: 'vga',
      start: 2 * GiB,
      size: MiB,
      block: block('vga', MiB),
    });
    const seen: number[] = [];
    map.onChange(() => seen.push(map.mappings.bytes));
    video.map(3 * GiB);
    expect(domain.places).toEqual(['0+40000000', 'c0000000+100000']);
    expect(domain.calls.slice(-2)).toEqual(['unmap 80000000+100000', 'map c0000000+100000 rw']);
    video.remove();
    expect(domain.places).toEqual(['0+40000000']);
    expect(seen).toEqual([GiB + MiB, GiB]);
  });

  test("follow the chipset's shadow areas from 768 KiB on", () => {
    const low = block('ram-low', 16 * MiB, { buffer: new ArrayBuffer(16 * MiB) });
    space.add({ kind: 'ram', name: 'ram', start: 0, size: 0xa_0000, block: low });
    space.add({ kind: 'ram', name: 'ram', start: MiB, size: 15 * MiB, block: low, offset: MiB });
    const shadow = new Shadow(space, low, SHADOW_RAM);
    map.start(space);
    expect(domain.places).toEqual(['0+a0000', 'c0000+40000', '100000+f00000']);
    shadow.set(0, { read: 'ram', write: 'rom' });
    expect(domain.mappings.find(({ iova }) => iova === 0xc_0000)).toMatchObject({
      size: 0x4000,
      writable: false,
    });
    shadow.setAll(SHADOW_ROM);
    expect(domain.places).toEqual(['0+a0000', '100000+f00000']);
    shadow.reset();
    expect(domain.places).toEqual(['0+a0000', 'c0000+40000', '100000+f00000']);
  });

  test('that cannot be mapped are a warning for the user, once', () => {
    addRam(0, GiB);
    map.start(space);
    domain.refuse = () => 'ENOSPC';
    const video = space.add({
      kind: 'device',
      name: 'vga',
      start: 2 * GiB,
      size: MiB,
      block: block('vga', MiB),
    });
    video.map(3 * GiB);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('vga at 0x80000000-0x800fffff');
    // What is not mapped is not unmapped.
    video.remove();
    expect(domain.places).toEqual(['0+40000000']);
  });

  test('are no longer followed after a stop', () => {
    addRam(0, GiB);
    map.start(space);
    map.stop();
    addRam(4 * GiB, GiB, 'ram-high');
    expect([domain.places, map.mappings.count]).toEqual([[], 0]);
  });

  test('stop when the host has removed the last device, which is not an error', () => {
    const ram = addRam(0, GiB);
    addRam(4 * GiB, GiB, 'ram-high');
    map.start(space);
    domain.vanish();
    ram.remove();
    expect(warnings).toEqual([
      expect.stringMatching(/^ram-low at 0x0-0x3fffffff cannot be unmapped .*EINVAL/),
    ]);
    map.stop();
    expect([warnings.length, map.mappings.count]).toEqual([1, 0]);
  });
});

describe('registers of host devices', () => {
  test('are mapped once another device could access them', () => {
    addRam(0, GiB);
    addRegisters(2 * GiB);
    map.start(space);
    expect(domain.places).toEqual(['0+40000000']);
    map.meetPeers();
    expect(domain.places).toEqual(['0+40000000', '80000000+4000']);
    addRegisters(3 * GiB);
    expect(domain.places).toHaveLength(3);
  });

  test('that cannot be mapped cause one warning, even at the start', () => {
    domain.refuse = ({ size }) => (size < MiB ? 'EFAULT' : null);
    addRam(0, GiB);
    map.meetPeers();
    addRegisters(2 * GiB);
    addRegisters(3 * GiB);
    map.start(space);
    expect(domain.places).toEqual(['0+40000000']);
    expect(warnings).toHaveLength(1);
  });
});

describe('a machine that runs while its memory is mapped', () => {
  test('is mapped in steps that end at large page boundaries', () => {
    addRam(0, 3 * GiB);
    map = newMap(GiB);
    const ends: unknown[] = [];
    map.startInSteps(space, later, failure => ends.push(failure));
    expect(domain.places).toEqual([]);
    expect(runSteps()).toBe(3);
    expect(domain.places).toEqual(['0+40000000', '40000000+40000000', '80000000+40000000']);
    expect(ends).toEqual([null]);
  });

  test('may change in the meantime', () => {
    addRam(0, 256 * MiB);
    const other = addRam(4 * GiB, 256 * MiB, 'ram-high');
    const ends: unknown[] = [];
    map.startInSteps(space, later, failure => ends.push(failure));
    // All of the first, and a part of the other.
    for (let step = 0; step < 5; step++) runStep();
    expect(map.mappings.bytes).toBe(320 * MiB);
    other.remove();
    addRam(8 * GiB, 128 * MiB, 'more');
    expect(map.mappings.bytes).toBe(256 * MiB);
    runSteps();
    expect(map.mappings.bytes).toBe(384 * MiB);
    expect(ends).toEqual([null]);
  });

  test('keeps nothing mapped when that fails', () => {
    addRam(0, 256 * MiB);
    domain.refuse = ({ iova }) => (iova >= 128 * MiB ? 'ENOMEM' : null);
    const ends: (Error | null)[] = [];
    map.startInSteps(space, later, failure => ends.push(failure));
    runSteps();
    expect(ends[0]?.message).toMatch(/256 MiB/);
    expect([domain.places, map.active]).toEqual([[], false]);
  });

  test('may have several callers waiting for the same mapping, or for none', () => {
    addRam(0, 256 * MiB);
    const ends: string[] = [];
    map.startInSteps(space, later, () => ends.push('first'));
    map.startInSteps(space, later, () => ends.push('second'));
    runSteps();
    map.startInSteps(space, later, () => ends.push('third'));
    expect(ends).toEqual(['first', 'second', 'third']);
    expect(domain.places).toHaveLength(4);
  });

  test('is notified when the devices are removed in the meantime', () => {
    addRam(0, 256 * MiB);
    const ends: (Error | null)[] = [];
    map.startInSteps(space, later, failure => ends.push(failure));
    runStep();
    map.stop();
    runSteps();
    expect(ends).toHaveLength(1);
    expect(ends[0]).not.toBeNull();
    expect(domain.places).toEqual([]);
  });
});

test("a device that joins later, with reserved addresses in the machine's memory, is rejected", () => {
  addRam(0, GiB);
  map.start(space);
  domain.reserved = [{ start: 0x1000_0000, end: 0x1000_1000 }];
  expect(() => map.recheck()).toThrow(/reserves addresses/);
});
