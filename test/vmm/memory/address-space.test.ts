import { beforeEach, describe, expect, test } from 'vitest';
import type { RegionLabel } from '../../../src/devices/bus.ts';
import type { IoHandler } from '../../../src/devices/device.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import type { MapChanges } from '../../../src/vmm/memory/direct-map.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { ADDRESS_LIMIT, PRIORITY } from '../../../src/vmm/memory/memory-range.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeSlots } from '../../support/fake-slots.ts';

const PAGE = 4096;
const silent: IoHandler = { read: () => 0x11, write: () => {} };

let labels: RegionLabel[];
let released: string[];
let counts: Map<string, { reads: number; writes: number }>;
let space: AddressSpace;
let batches: MapChanges[];
beforeEach(() => {
  labels = [];
  released = [];
  counts = new Map();
  space = new AddressSpace({
    counters: label => {
      labels.push(label);
      const count = { reads: 0, writes: 0 };
      counts.set(label.device, count);
      return {
        read: () => count.reads++,
        written: () => count.writes++,
        release: () => released.push(label.device),
      };
    },
  });
  batches = [];
  space.listen({ commit: changes => batches.push(changes) });
  batches = [];
});

const ram = (start: number, pages: number, more = {}) => {
  const block = fakeBlock('ram', pages * PAGE);
  return { block, range: space.add({ kind: 'ram', name: 'ram', start, size: pages * PAGE, block, ...more }) };
};

/** `address+size` of each piece, in hexadecimal. */
const places = (pieces: MapChanges['added']) =>
  pieces.map(({ address, size }) => `${address.toString(16)}+${size.toString(16)}`);

describe('a change of the address space', () => {
  test('is passed to listeners as a difference, once per batch', () => {
    const { range } = ram(0, 16);
    const rom = fakeBlock('rom', PAGE);
    expect(batches.map(({ removed, added }) => [places(removed), places(added)])).toEqual([
      [[], ['0+10000']],
    ]);
    batches = [];
    space.batch(() => {
      space.add({
        kind: 'rom',
        name: 'rom',
        start: 0x4000,
        size: PAGE,
        block: rom,
        priority: PRIORITY.chipset,
      });
      space.add({ kind: 'ram', name: 'far', start: 0x10_0000, size: PAGE, block: rom });
      range.unmap();
      range.map(0);
    });
    expect(batches.map(({ removed, added }) => [places(removed), places(added)])).toEqual([
      [['0+10000'], ['0+4000', '4000+1000', '5000+b000', '100000+1000']],
    ]);
  });

  test('that changes nothing does not notify listeners', () => {
    const { range } = ram(0, 16);
    const below = fakeBlock('below', PAGE);
    const hidden = space.add({
      kind: 'ram',
      name: 'below',
      start: 0,
      size: PAGE,
      block: below,
      priority: -1,
    });
    batches = [];
    hidden.map(0x2000);
    range.map(0);
    space.claim('bar', 0x3000, 16, silent);
    space.batch(() => {
      range.unmap();
      range.map(0);
    });
    expect(batches).toEqual([]);
    range.unmap();
    expect(batches.map(({ added }) => places(added))).toEqual([['2000+1000']]);
  });

  test('is applied as far as it went when a batch fails', () => {
    expect(() =>
      space.batch(() => {
        ram(0, 1);
        ram(1, 1);
      }),
    ).toThrow('the memory range ram cannot be at 0x1');
    expect(space.memory.contains(0, PAGE)).toBe(true);
  });

  test('cannot be made by a listener', () => {
    const { range } = ram(0, 1);
    space.listen({
      commit: ({ removed }) => {
        if (removed.length > 0) range.map(0x1000);
      },
    });
    expect(() => range.unmap()).toThrow('a listener must not change the address space');
  });
});

describe('BARs', () => {
  test('moved onto RAM stay below it, and change none of its slots', () => {
    const { block } = ram(0, 16);
    const kvm = new FakeSlots();
    space.listen(new KvmSlots(kvm, 16));
    const bar = space.claim('bar', 0xe000_0000, 0x2000, silent);
    new DataView(block.buffer).setUint32(0x4000, 0x1234_5678, true);
    bar.map(0xf000);
    expect(space.read(0xf000, 1)).toBe(0);
    expect(space.read(0x1_0000, 1)).toBe(0x11);
    bar.map(0x4000);
    expect(space.read(0x4000, 4)).toBe(0x1234_5678);
    expect(kvm.calls).toHaveLength(1);
  });

  test('moved onto each other have priority in the order of mapping', () => {
    const a = space.claim('a', 0x1000, 0x100, { read: () => 0xa, write: () => {} });
    const b = space.claim('b', 0x1000, 0x100, { read: () => 0xb, write: () => {} });
    expect([space.read(0x1000, 1), space.owner(0x1000)]).toEqual([0xa, a]);
    a.map(0x1080);
    expect([space.read(0x1000, 1), space.read(0x1080, 1), space.read(0x1100, 1)]).toEqual([0xb, 0xb, 0xa]);
    b.remove();
    b.remove();
    expect(released).toEqual(['b']);
    expect([space.read(0x1000, 1), space.owner(0x1000)]).toEqual([0xff, null]);
    expect(() => b.map(0)).toThrow('the memory range b has been removed');
  });

  test('end at the limit of physical addresses', () => {
    const bar = space.claim('bar', ADDRESS_LIMIT - 16, 16, silent);
    expect(space.read(ADDRESS_LIMIT - 2, 4)).toBe(0xffff_1111);
    for (const start of [ADDRESS_LIMIT - 15, ADDRESS_LIMIT, -1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => bar.map(start), `${start}`).toThrow(RangeError);
    }
    expect(bar.start).toBe(ADDRESS_LIMIT - 16);
  });
});

describe('a ROM', () => {
  const bytes = fakeBlock('rom', 2 * PAGE);
  new Uint8Array(bytes.buffer).fill(0x5a);

  test('ignores writes, even from devices, and counts them as unclaimed', () => {
    space.add({ kind: 'rom', name: 'rom', start: 0x1000, size: PAGE, block: bytes });
    space.write(0x1000, 4, 0);
    expect(space.read(0x1000, 4)).toBe(0x5a5a_5a5a);
    expect(space.memory.readU32(0x1000)).toBe(0x5a5a_5a5a);
    expect(() => space.memory.writable(0x1000, 1)).toThrow(
      'guest address 0x1000 with 1 bytes is not in guest RAM',
    );
    expect(counts.get('unclaimed')!.writes).toBe(1);
    expect(labels.map(({ device }) => device)).toEqual(['unclaimed']);
  });

  test('passes writes to its handler, at offsets from its start', () => {
    const writes: number[][] = [];
    const rom = space.add({
      ...{ kind: 'rom', name: 'flash', start: 0x1000, size: PAGE, block: bytes, offset: PAGE },
      onWrite: (...write) => writes.push(write),
    });
    space.add({ kind: 'alias', name: 'low flash', start: 0x8000, size: PAGE, of: rom });
    space.write(0x1004, 4, 0xdead_beef);
    space.write(0x8008, 2, 0x1234);
    expect(writes).toEqual([
      [4, 4, 0xdead_beef],
      [8, 2, 0x1234],
    ]);
    expect(counts.get('flash')).toEqual({ reads: 0, writes: 2 });
  });
});

describe('an alias', () => {
  test('maps its original, wherever that is, until it is removed', () => {
    const { block, range } = ram(0x10_0000, 4, { mapped: false });
    const alias = space.add({
      kind: 'alias',
      name: 'alias',
      start: 0,
      size: PAGE,
      of: range,
      offset: 2 * PAGE,
    });
    const second = space.add({ kind: 'alias', name: 'second', start: 0x8000, size: PAGE, of: alias });
    space.memory.writeU32(4, 7);
    expect(new DataView(block.buffer).getUint32(2 * PAGE + 4, true)).toBe(7);
    expect(space.memory.readU32(0x8004)).toBe(7);
    alias.remove();
    expect(space.memory.readU32(0x8004)).toBe(7);
    range.remove();
    expect(second.mapped).toBe(false);
    expect(space.memory.contains(0x8000, 1)).toBe(false);
  });

  test('maps no more than exists', () => {
    const { range } = ram(0, 4);
    const place = { kind: 'alias', name: 'alias', start: 0x10_0000, of: range } as const;
    for (const [size, offset] of [
      [5 * PAGE, 0],
      [PAGE, 4 * PAGE],
      [PAGE, -PAGE],
      [PAGE, 2 ** 60],
    ] as const) {
      expect(() => space.add({ ...place, size, offset })).toThrow('is not inside its original');
    }
  });
});

test('memory ranges are full pages inside their block', () => {
  const block = fakeBlock('block', 4 * PAGE);
  const place = { kind: 'device', name: 'fb', start: 0, size: PAGE, block } as const;
  expect(() => space.add({ ...place, start: 8 })).toThrow('cannot be at 0x8');
  expect(() => space.add({ ...place, size: 100 })).toThrow('is not a multiple of 4096 bytes');
  expect(() => space.add({ ...place, offset: 100 })).toThrow('is not a multiple of 4096 bytes');
  expect(() => space.add({ ...place, size: 5 * PAGE })).toThrow('is not inside the block block');
  expect(() => space.add({ ...place, offset: -PAGE })).toThrow('is not inside the block block');
  expect(() => space.add({ ...place, size: 0 })).toThrow('has 0 bytes');
});

test('memory that is contiguous for guest and host is one range for devices', () => {
  const block = fakeBlock('ram', 4 * PAGE);
  const half = { kind: 'ram', name: 'ram', size: 2 * PAGE, block } as const;
  space.add({ ...half, start: 0 });
  space.add({ ...half, start: 2 * PAGE, offset: 2 * PAGE });
  space.add({ ...half, start: 4 * PAGE });
  expect(space.memory.contains(0, 4 * PAGE)).toBe(true);
  expect(space.memory.contains(PAGE, 4 * PAGE)).toBe(false);
  expect(space.memory.spans).toEqual([
    { address: 0, size: 4 * PAGE, block, offset: 0, writable: true },
    { address: 4 * PAGE, size: 2 * PAGE, block, offset: 0, writable: true },
  ]);
});

test('slots are reused; ranges without one are emulated, and get the next free one', () => {
  const kvm = new FakeSlots(2);
  space.listen(new KvmSlots(kvm, 2));
  const ranges = [0, 2, 4].map(page => ram(page * PAGE, 1));
  expect([...kvm.slots.keys()]).toEqual([0, 1]);
  expect(kvm.at(4 * PAGE)).toBeNull();
  space.write(4 * PAGE, 4, 0x1234);
  expect(new DataView(ranges[2]!.block.buffer).getUint32(0, true)).toBe(0x1234);
  ranges[0]!.range.remove();
  expect(kvm.at(4 * PAGE)).toEqual({ host: ranges[2]!.block.host, writable: true });
  expect([...kvm.slots.keys()].sort()).toEqual([0, 1]);
});
