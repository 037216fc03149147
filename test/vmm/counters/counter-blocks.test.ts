import { expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { QueueCounters } from '../../../src/devices/virtio/queue-counters.ts';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { counterShape } from '../../../src/vmm/counters/counter-shape.ts';
import {
  CounterLayout,
  MAX_STATISTICS,
  QUEUE,
  REGION,
  STATISTIC,
} from '../../../src/vmm/counters/counters.ts';
import { allocateCounters } from '../../support/counters.ts';

const SHAPE = { vcpus: 1, queues: 2, regions: 2 };
const LAYOUT = new CounterLayout(SHAPE);
const queue = (device: string) => ({ device, type: 'virtio-rng', queue: 'requests', size: 64 });
const region = (device: string) => ({ device, space: 'memory', start: 0x1000, size: 16 }) as const;

/** A native thread counts kicks. */
function kick(words: BigUint64Array, { slot }: QueueCounters, times: number): void {
  words[LAYOUT.queue(slot) + QUEUE.kicks]! += BigInt(times);
}

function rig() {
  const words = allocateCounters(SHAPE);
  let changes = 0;
  const blocks = new CounterBlocks(words, SHAPE, () => changes++);
  const block = (base: number, length: number) => [...words.subarray(base, base + length)].map(Number);
  return { words, blocks, block, changes: () => changes };
}

test('a block that is released is zeroed, and assigned again with another id', () => {
  const { blocks, block, words, changes } = rig();
  const first = blocks.queue(queue('disk0'));
  const second = blocks.queue(queue('disk1'));
  expect(blocks.labels.queues).toEqual([
    { id: 1, slot: 0, ...queue('disk0') },
    { id: 2, slot: 1, ...queue('disk1') },
  ]);
  expect(() => blocks.queue(queue('disk2'))).toThrow('more than 2 virtqueues: give it fewer devices');
  kick(words, first, 7);
  kick(words, second, 5);
  first.release();
  first.release();
  expect(block(LAYOUT.queue(0), QUEUE.words).every(word => word === 0)).toBe(true);
  expect(block(LAYOUT.queue(1), QUEUE.words)[QUEUE.kicks]).toBe(5);
  expect(blocks.labels.queues).toEqual([{ id: 2, slot: 1, ...queue('disk1') }]);
  expect(changes()).toBe(3);

  const third = blocks.queue(queue('disk2'));
  expect(third.slot).toBe(0);
  expect(blocks.labels.queues[0]).toMatchObject({ id: 3, slot: 0, device: 'disk2' });
  expect(block(LAYOUT.queue(0), QUEUE.words)[QUEUE.id]).toBe(3);
  // The first owner's release comes too late to harm the third.
  kick(words, third, 1);
  first.release();
  expect(block(LAYOUT.queue(0), QUEUE.words)[QUEUE.kicks]).toBe(1);
});

test('regions are released like queues', () => {
  const { blocks, block } = rig();
  const [first] = [blocks.region(region('nic0')), blocks.region(region('nic1'))];
  expect(() => blocks.region(region('nic2'))).toThrow('more than 2 ranges of ports and memory');
  first!.read(0x1000);
  first!.release();
  expect(block(LAYOUT.region(0), REGION.words).every(word => word === 0)).toBe(true);
  blocks.region(region('nic2'));
  expect(blocks.labels.regions.map(({ id, index, device }) => [id, index, device])).toEqual([
    [3, 0, 'nic2'],
    [2, 1, 'nic1'],
  ]);
});

test('the last counts stay when the machine ends', () => {
  const { blocks, block, words } = rig();
  const counters = blocks.queue(queue('disk0'));
  kick(words, counters, 7);
  blocks.keep();
  counters.release();
  expect(block(LAYOUT.queue(0), QUEUE.words)[QUEUE.kicks]).toBe(7);
  expect(blocks.labels.queues).toHaveLength(1);
});

test('a thousand plugged and unplugged devices leave no block behind', () => {
  const { blocks, words } = rig();
  const before = words.slice();
  for (let round = 0; round < 1000; round++) {
    const [disk, bar] = [blocks.queue(queue('disk0')), blocks.region(region('disk0'))];
    kick(words, disk, 1);
    bar.read(0x1000 + 4 * round);
    disk.release();
    bar.release();
  }
  expect(blocks.labels).toMatchObject({ queues: [], regions: [] });
  const counts = (all: BigUint64Array) => all.slice(LAYOUT.queue(0), LAYOUT.address(0));
  expect(counts(words)).toEqual(counts(before));
});

test('the shape has room for every queue of the configuration, and for hot-plugged devices', () => {
  const devices = (count: number, queues: number) =>
    Array.from({ length: count }, () => deviceConfig.parse({ type: 'virtio-blk', path: '/d', queues }));
  const none = counterShape({ cpus: 2, devices: [] });
  expect(none.vcpus).toBe(2);
  expect(none.queues).toBeGreaterThanOrEqual(16);
  const many = counterShape({ cpus: 1, devices: devices(64, 16) });
  expect(many.queues).toBe(none.queues + 64 * 16);
  expect(many.regions - none.regions).toBeGreaterThanOrEqual(64);
});

test('statistics of devices are counted, released and assigned again', () => {
  const { words, blocks, block } = rig();
  const [base, after] = [LAYOUT.statistic(0), LAYOUT.statistic(1)];
  const ticks = blocks.statistic({ device: 'tick0', name: 'ticks' });
  const drops = blocks.statistic({ device: 'tick0', name: 'drops' });
  ticks.add(3);
  ticks.add(2 ** 40);
  drops.add(1);
  expect(words[base + STATISTIC.value]).toBe(3n + (1n << 40n));
  expect(words[after + STATISTIC.value]).toBe(1n);
  ticks.release();
  expect(block(base, STATISTIC.words)).toEqual([0, 0]);
  expect(blocks.labels.statistics).toEqual([{ id: 2, index: 1, device: 'tick0', name: 'drops' }]);
  for (let count = 1; count < MAX_STATISTICS; count++)
    blocks.statistic({ device: 'tick1', name: `count ${count}` });
  expect(() => blocks.statistic({ device: 'tick1', name: 'one more' })).toThrow(
    'more than 256 statistics of devices: give it fewer devices',
  );
  expect(LAYOUT.statistic(MAX_STATISTICS)).toBe(LAYOUT.words);
});
