import { beforeEach, describe, expect, test } from 'vitest';
import type { HostBlock } from '../../../src/devices/host-block.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { DirtyLog, type DirtyPages } from '../../../src/vmm/memory/dirty-log.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeSlots } from '../../support/fake-slots.ts';

const PAGE = 4096;
const VIDEO = 0xd000_0000;

let ram: HostBlock;
let video: HostBlock;
let space: AddressSpace;
let kvm: FakeSlots;
let log: DirtyLog;
beforeEach(() => {
  ram = fakeBlock('ram', 64 * PAGE);
  video = fakeBlock('video', 8 * PAGE);
  space = new AddressSpace({ counters: () => UNCOUNTED });
  kvm = new FakeSlots();
  const slots = new KvmSlots(kvm, 16);
  space.listen(slots);
  space.add({ kind: 'ram', name: 'ram', start: 0, size: ram.size, block: ram });
  space.add({ kind: 'device', name: 'video', start: VIDEO, size: video.size, block: video });
  log = new DirtyLog([slots], [space.memory]);
});

const numbers = (pages: DirtyPages) =>
  Object.fromEntries(
    [...pages].map(([block, set]) => [
      block.name,
      [...set.runs()].flatMap(({ first, end }) => Array.from({ length: end - first }, (_, at) => first + at)),
    ]),
  );
const collect = (user: string) => numbers(log.collect(user));

describe('each user', () => {
  test('gets what the guest and device models wrote since its last query', () => {
    log.start('migration', [ram, video]);
    kvm.write(3 * PAGE);
    log.start('display', [video]);
    kvm.write(VIDEO + 5 * PAGE);
    space.memory.writable(10 * PAGE + 4090, 10).fill(1);
    expect(collect('migration')).toEqual({ ram: [3, 10, 11], video: [5] });
    expect(collect('migration')).toEqual({ ram: [], video: [] });
    space.memory.writeU32(VIDEO, 7);
    expect(collect('display')).toEqual({ video: [0, 5] });
    expect(collect('migration')).toEqual({ ram: [], video: [0] });
    expect(collect('display')).toEqual({ video: [] });
  });

  test('gets nothing from before it started, and does not stop others', () => {
    log.start('migration', [ram]);
    kvm.write(0);
    space.memory.writeU16(PAGE, 1);
    log.start('backup', [ram]);
    expect(collect('backup')).toEqual({ ram: [] });
    log.stop('migration');
    kvm.write(2 * PAGE);
    expect(collect('backup')).toEqual({ ram: [2] });
    expect(() => log.collect('migration')).toThrow('migration has not started a dirty log');
    expect(() => log.start('backup', [])).toThrow('backup has started a dirty log already');
  });

  test('gets writes to memory that shares a page with a device model', () => {
    space.add({
      ...{ kind: 'mmio', name: 'mmio', start: 0, size: 16, priority: 1 },
      handler: { read: () => 0, write: () => {} },
    });
    log.start('migration', [ram]);
    expect(kvm.at(0)).toBeNull();
    space.write(16, 4, 7);
    space.write(0, 4, 7);
    expect(collect('migration')).toEqual({ ram: [0] });
  });
});

test('a log without users costs nothing', () => {
  const logged = () => [...kvm.slots.values()].filter(slot => slot.logDirty).map(({ address }) => address);
  expect([logged(), space.memory.writeLog]).toEqual([[], null]);
  log.start('display', [video]);
  expect([logged(), space.memory.writeLog]).toEqual([[VIDEO], log]);
  log.start('migration', [ram, video]);
  log.stop('display');
  expect(logged()).toEqual([0, VIDEO]);
  log.stop('migration');
  expect([logged(), space.memory.writeLog]).toEqual([[], null]);
});

test('a ROM has no log', () => {
  const rom = space.add({ kind: 'rom', name: 'rom', start: VIDEO + 2 ** 20, size: PAGE, block: video });
  log.start('display', [video]);
  expect(collect('display')).toEqual({ video: [] });
  rom.remove();
  expect(collect('display')).toEqual({ video: [] });
});

test('a slot that changes loses no write: all removed memory counts as written', () => {
  log.start('display', [video]);
  const cover = space.add({
    ...{ kind: 'mmio', name: 'cover', start: VIDEO + 4 * PAGE, size: PAGE, priority: 1 },
    handler: { read: () => 0, write: () => {} },
  });
  expect(collect('display')).toEqual({ video: [0, 1, 2, 3, 4, 5, 6, 7] });
  kvm.write(VIDEO + 6 * PAGE);
  expect(collect('display')).toEqual({ video: [6] });
  cover.remove();
  expect(collect('display')).toEqual({ video: [0, 1, 2, 3, 5, 6, 7] });
});
