import { beforeEach, describe, expect, test } from 'vitest';
import { type BusOptions, PortBus, type RegionLabel } from '../../src/devices/bus.ts';
import type { AccessSize, IoHandler } from '../../src/devices/device.ts';
import { AddressSpace } from '../../src/vmm/memory/address-space.ts';

/** Every read returns its byte; writes are recorded. */
class Register implements IoHandler {
  readonly writes: [offset: number, size: number, value: number][] = [];
  readonly #byte: number;

  constructor(byte: number) {
    this.#byte = byte;
  }

  read(): number {
    return this.#byte * 0x01010101;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.writes.push([offset, size, value]);
  }
}

const buses = [
  ['port', (options: BusOptions) => new PortBus(options)],
  ['memory', (options: BusOptions) => new AddressSpace(options)],
] as const;

describe.each(buses)('the %s bus', (space, create) => {
  let counts: Map<string, { reads: number; writes: number }>;
  let labels: RegionLabel[];
  let bus: PortBus | AddressSpace;

  beforeEach(() => {
    counts = new Map();
    labels = [];
    bus = create({
      counters: label => {
        labels.push(label);
        const count = { reads: 0, writes: 0 };
        counts.set(label.device, count);
        return {
          read: () => void count.reads++,
          written: () => void count.writes++,
          release: () => counts.delete(label.device),
        };
      },
    });
  });

  test('passes offsets, sizes and values to the owner, and masks what a model returns', () => {
    const a = new Register(0xaa);
    const b = new Register(0xbb);
    bus.claim('a', 0x1000, 0x100, a);
    bus.claim('b', 0x2_0000_0000, 0x100, b);
    bus.write(0x1004, 2, 0x1234);
    bus.write(0x2_0000_00fc, 4, 0xdead_beef);
    expect(a.writes).toEqual([[4, 2, 0x1234]]);
    expect(b.writes).toEqual([[0xfc, 4, 0xdead_beef]]);
    expect(bus.read(0x1000, 1)).toBe(0xaa);
    expect(bus.read(0x1000, 2)).toBe(0xaaaa);
    expect(bus.read(0x2_0000_0000, 4)).toBe(0xbbbb_bbbb);
  });

  test('unclaimed addresses read as all ones, ignore writes, and are counted', () => {
    expect([bus.read(0x10, 1), bus.read(0x10, 2), bus.read(0x10, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    bus.write(0x10, 4, 1);
    bus.claim('a', 0x1000, 0x100, new Register(1));
    expect(bus.read(0xfff, 1)).toBe(0xff);
    expect(bus.read(0x1100, 4)).toBe(0xffff_ffff);
    expect(counts.get('unclaimed')).toEqual({ reads: 5, writes: 1 });
    expect(counts.get('a')).toMatchObject({ reads: 0 });
  });

  test('counts accesses by range, labeled with its first address', () => {
    const range = bus.claim('a', 0x1000, 0x100, new Register(1));
    range.map(0x5000);
    bus.read(0x5000, 4);
    bus.write(0x5000, 4, 0);
    expect(counts.get('a')).toEqual({ reads: 1, writes: 1 });
    expect(labels[1]).toEqual({ device: 'a', space, start: 0x1000, size: 0x100 });
  });

  test('an access across range boundaries is split into bytes', () => {
    const a = new Register(0xaa);
    const b = new Register(0xbb);
    bus.claim('a', 0x1000, 0x10, a);
    bus.claim('b', 0x1010, 0x10, b);
    expect(bus.read(0x100e, 4)).toBe(0xbbbb_aaaa);
    expect(bus.read(0x0ffe, 4)).toBe(0xaaaa_ffff);
    expect(bus.read(0x101f, 2)).toBe(0xffbb);
    bus.write(0x100f, 4, 0x4433_2211);
    expect(a.writes).toEqual([[15, 1, 0x11]]);
    expect(b.writes).toEqual([
      [0, 1, 0x22],
      [1, 1, 0x33],
      [2, 1, 0x44],
    ]);
  });

  test('8-byte accesses become two of 4, odd lengths the largest possible parts', () => {
    const a = new Register(0xaa);
    bus.claim('a', 0x1000, 0x100, a);
    const data = new DataView(new ArrayBuffer(16));
    data.setBigUint64(4, 0x8877_6655_4433_2211n, true);
    bus.writeFrom(0x1000, 8, data, 4);
    bus.writeFrom(0x1008, 3, data, 4);
    expect(a.writes).toEqual([
      [0, 4, 0x4433_2211],
      [4, 4, 0x8877_6655],
      [8, 2, 0x2211],
      [10, 1, 0x33],
    ]);
    bus.readTo(0x1000, 7, data, 0);
    expect(data.getBigUint64(0, true)).toBe(0x44aa_aaaa_aaaa_aaaan);
  });

  test('the range mapped first wins where ranges overlap', () => {
    const first = bus.claim('first', 0x1000, 0x100, new Register(1));
    const second = bus.claim('second', 0x0f80, 0x200, new Register(2));
    const at = () => [0xf80, 0xfff, 0x1000, 0x10ff, 0x1100, 0x117f, 0x1180].map(a => bus.read(a, 1));
    expect(at()).toEqual([2, 2, 1, 1, 2, 2, 0xff]);
    // A moved range is the newest at its new address.
    first.map(0x0f00);
    expect(at()).toEqual([2, 2, 2, 2, 2, 2, 0xff]);
    expect(bus.read(0xf00, 1)).toBe(1);
    second.unmap();
    expect(at()).toEqual([1, 1, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expect(bus.owner(0xf80)).toBe(first);
    expect(bus.owner(0x1000)).toBeNull();
  });

  test('a model may move ranges during an access', () => {
    const moved = bus.claim('moved', 0x2000, 0x100, new Register(7));
    const mover: IoHandler = { read: () => 0, write: (_offset, _size, value) => moved.map(value) };
    bus.claim('mover', 0x1000, 4, mover);
    bus.write(0x1000, 4, 0x3000);
    expect(bus.read(0x3000, 1)).toBe(7);
    expect(bus.read(0x2000, 1)).toBe(0xff);
    bus.write(0x1000, 4, 0x1000);
    bus.write(0x1000, 4, 0x4000);
    expect(bus.read(0x4000, 1)).toBe(7);
  });

  test('passes a string instruction to a handler at once, or otherwise item by item', () => {
    const whole: IoHandler = {
      read: () => 0,
      write: () => {},
      readString: (offset, size, bytes) => bytes.fill(0x10 * offset + size),
      writeString: (offset, size, bytes) => given.push([offset, size, ...bytes]),
    };
    const given: number[][] = [];
    const register = new Register(5);
    bus.claim('whole', 0x1000, 8, whole);
    bus.claim('register', 0x2000, 8, register);
    const view = new DataView(new ArrayBuffer(16), 2, 12);
    bus.readStringTo(0x1002, 2, 3, view, 4);
    bus.readStringTo(0x2000, 2, 1, view, 0);
    bus.readStringTo(0x2004, 1, 2, view, 2);
    bus.readStringTo(0x3000, 2, 1, view, 10);
    expect([...new Uint8Array(view.buffer)]).toEqual([
      ...[0, 0, 5, 5, 5, 5],
      ...new Array<number>(6).fill(0x22),
      ...[0xff, 0xff, 0, 0],
    ]);
    bus.writeStringFrom(0x1003, 2, 2, view, 0);
    bus.writeStringFrom(0x2000, 2, 2, view, 4);
    expect(given).toEqual([[3, 2, 5, 5, 5, 5]]);
    expect(register.writes).toEqual([
      [0, 2, 0x2222],
      [0, 2, 0x2222],
    ]);
    // One access counts once, however a guest makes it.
    expect(counts.get('whole')).toMatchObject({ reads: 1, writes: 1 });
    expect(counts.get('register')).toMatchObject({ reads: 3, writes: 2 });
  });

  test('finds the owner among many, like a linear search', () => {
    const ranges = Array.from({ length: 100 }, (_, i) => ({ start: 0x1000 * (i + 1), size: 0x10 * (i + 1) }));
    for (const [i, { start, size }] of ranges.entries()) bus.claim(`r${i}`, start, size, new Register(i));
    for (let address = 0; address < 0x6_6000; address += 0x77) {
      const owner = ranges.findIndex(({ start, size }) => address >= start && address < start + size);
      expect(bus.read(address, 1)).toBe(owner < 0 ? 0xff : owner);
    }
  });
});
