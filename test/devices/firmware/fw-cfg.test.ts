import { describe, expect, test } from 'vitest';
import type { AccessSize } from '../../../src/devices/device.ts';
import { FwCfg } from '../../../src/devices/firmware/fw-cfg.ts';
import { FwCfgItems, KEY } from '../../../src/devices/firmware/fw-cfg-items.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { Random } from '../../support/random.ts';

const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;
const ERROR = 1;

function device(memory = new FakeMemory(2 ** 16)) {
  const items = new FwCfgItems();
  const made = new FwCfg({ items, memory });
  const select = (key: number) => made.write(0, 2, key);
  const bytes = (count: number) => Array.from({ length: count }, () => made.read(1, 1));
  /** @returns the control word that the device has left */
  const dma = (control: number, length: number, address: number, at = 0x100) => {
    const request = Buffer.alloc(16);
    request.writeUInt32BE(control >>> 0, 0);
    request.writeUInt32BE(length, 4);
    request.writeBigUInt64BE(BigInt(address), 8);
    memory.writable(at, 16).set(request);
    made.write(8, 4, Buffer.from(Uint32Array.of(at).buffer).readUInt32BE());
    return Buffer.from(memory.readable(at, 4)).readUInt32BE();
  };
  return { items, made, memory, select, bytes, dma };
}

const text = (bytes: Uint8Array | number[]) => Buffer.from(bytes).toString('latin1');

/** Key and size of each file in the directory, by its name. */
function directory({ select, bytes }: ReturnType<typeof device>) {
  select(KEY.directory);
  const count = Buffer.from(bytes(4)).readUInt32BE();
  const files = Array.from({ length: count }, () => {
    const entry = Buffer.from(bytes(64));
    const name = entry.subarray(8).toString('latin1').replace(/\0.*$/s, '');
    return [name, { key: entry.readUInt16BE(4), size: entry.readUInt32BE(0) }] as const;
  });
  return Object.fromEntries(files);
}

describe('fw_cfg', () => {
  test('reports its signature and DMA', () => {
    const { select, bytes, made } = device();
    select(KEY.signature);
    expect(text(bytes(6))).toBe('QEMU\0\0');
    select(KEY.id);
    expect(bytes(4)).toEqual([3, 0, 0, 0]);
    const signature = [made.read(4, 4), made.read(8, 4)].map(value =>
      text([...new Uint8Array(new Uint32Array([value]).buffer)]),
    );
    expect(signature.join('')).toBe('QEMU CFG');
  });

  test('lists its files by name, with sizes and keys', () => {
    const rig = device();
    rig.items.setFile('etc/second', Buffer.from('two'));
    rig.items.setFile('bootorder', Buffer.from('one'));
    const files = directory(rig);
    expect(files).toEqual({ bootorder: { key: 0x20, size: 3 }, 'etc/second': { key: 0x21, size: 3 } });
    rig.select(0x21);
    expect(text(rig.bytes(3))).toBe('two');
    expect(() => rig.items.setFile('x'.repeat(56), new Uint8Array())).toThrow(/too long/);
  });

  test('copies the rest of an item into memory, and zeros after its end', () => {
    const { items, dma, memory, bytes } = device();
    items.set(0x15, Buffer.from('a command line'));
    memory.writable(0x1000, 32).fill(0xff);
    expect(dma((0x15 << 16) | SELECT | SKIP, 2, 0)).toBe(0);
    expect(dma(READ, 7, 0x1000)).toBe(0);
    expect(text(memory.readable(0x1000, 8))).toBe('command\xff');
    expect(text(bytes(1))).toBe(' ');
    expect(dma(READ, 10, 0x1000)).toBe(0);
    expect(text(memory.readable(0x1000, 11))).toBe('line\0\0\0\0\0\0\xff');
    expect(dma((0x15 << 16) | SELECT | READ, 1, 0x1000)).toBe(0);
    expect(text(memory.readable(0x1000, 1))).toBe('a');
  });

  test('rejects writes, missing memory and huge lengths', () => {
    const { items, dma, memory, made } = device();
    items.set(0x15, Buffer.from('text'));
    expect(dma((0x15 << 16) | SELECT | WRITE, 4, 0x1000)).toBe(ERROR);
    expect(dma((0x15 << 16) | SELECT | READ, 4, 0xffff_f000)).toBe(ERROR);
    expect(dma((0x15 << 16) | SELECT | READ, 8, 2 ** 16 - 2)).toBe(ERROR);
    expect(dma((0x15 << 16) | SELECT | READ, 0xffff_ffff, 0)).toBe(ERROR);
    // A request that is not in memory has no effect.
    const before = memory.readable(0, 2 ** 16).slice();
    made.write(4, 4, 0xffff_ffff);
    made.write(8, 4, 0xf8ff_ffff);
    expect(Buffer.from(before).equals(memory.readable(0, 2 ** 16))).toBe(true);
  });

  test('continues after save and load where it stopped', () => {
    const { items, select, bytes, made } = device();
    items.set(0x15, Buffer.from('text'));
    select(0x15);
    bytes(2);
    const other = new FwCfg({ items, memory: new FakeMemory(16) });
    other.load(structuredClone(made.save()));
    expect(text([other.read(1, 1), other.read(1, 1)])).toBe('xt');
    expect(() => other.load({ ...made.save(), key: -1 })).toThrow(/key/);
    made.reset();
    expect(text(bytes(1))).toBe('Q');
  });

  test.each([1, 2, 3])('survives any access (seed %i)', seed => {
    const { items, made, memory } = device();
    items.setFile('etc/file', Buffer.alloc(70_000, 7));
    const random = new Random(seed);
    for (let i = 0; i < 5000; i++) {
      const size = random.pick([1, 2, 4] as const) as AccessSize;
      const offset = random.below(FwCfg.size - size + 1);
      const value = random.pick([random.u32(), random.below(0x40), 0x20, 0x0001_0000]);
      if (random.below(4) === 0) memory.writeU32(random.below(1000) * 4, random.u32());
      if (random.below(2) === 0) made.write(offset, size, size === 4 ? value : value & (2 ** (8 * size) - 1));
      else expect(made.read(offset, size)).toBeLessThan(2 ** (8 * size));
    }
    const other = new FwCfg({ items, memory });
    other.load(made.save());
    expect(other.save()).toEqual(made.save());
  });
});
