import { expect, test } from 'vitest';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout, QUEUE } from '../../../src/vmm/counters/counters.ts';
import { allocateCounters } from '../../support/counters.ts';

const SHAPE = { vcpus: 1, queues: 2, regions: 4 };
const LABEL = { device: 'rng0', type: 'virtio-rng', queue: 'requests', size: 64 };

test('counts a queue in the words of its slot', () => {
  const words = allocateCounters(SHAPE);
  const counted = (word: number) => Number(words[new CounterLayout(SHAPE).queue(1) + word]);
  const blocks = new CounterBlocks(words, SHAPE);
  blocks.queue(LABEL);
  const queue = blocks.queue(LABEL);
  queue.kicked(3);
  queue.kickSuppressed();
  queue.batch();
  for (let i = 0; i < 4; i++) queue.taken();
  expect(counted(QUEUE.inFlight)).toBe(4);
  queue.returned(5_000_000_000, 100, 20, false);
  queue.returned(1000, 0, 0, true);
  queue.interrupted();
  queue.interruptSuppressed();
  expect(counted(QUEUE.inFlight)).toBe(2);
  expect(counted(QUEUE.maxInFlight)).toBe(4);
  expect(counted(QUEUE.kicks)).toBe(3);
  expect(counted(QUEUE.kicksSuppressed)).toBe(1);
  expect(counted(QUEUE.batches)).toBe(1);
  expect(counted(QUEUE.requests)).toBe(4);
  expect(counted(QUEUE.errors)).toBe(1);
  expect([counted(QUEUE.bytesToGuest), counted(QUEUE.bytesFromGuest)]).toEqual([100, 20]);
  expect([counted(QUEUE.interrupts), counted(QUEUE.interruptsSuppressed)]).toEqual([1, 1]);
  expect(counted(QUEUE.latencyNs)).toBe(5_000_001_000);
  expect([counted(QUEUE.latency + 9), counted(QUEUE.latency + 31)]).toEqual([1, 1]);
});
