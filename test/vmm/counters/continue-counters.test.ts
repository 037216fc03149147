import { describe, expect, test } from 'vitest';
import { continueCounters } from '../../../src/vmm/counters/continue-counters.ts';
import {
  ADDRESS,
  ADDRESS_ENTRIES,
  CounterLayout,
  type CounterShape,
  parseAddressKey,
  QUEUE,
  REGION,
  STATISTIC,
  VCPU,
} from '../../../src/vmm/counters/counters.ts';
import { TimedBlocks, timedRegion } from '../../support/counters.ts';
import { Random } from '../../support/random.ts';

const SHAPE: CounterShape = { vcpus: 2, queues: 4, regions: 8 };
const LARGER: CounterShape = { vcpus: 3, queues: 6, regions: 16 };

function countersOf(shape: CounterShape) {
  const layout = new CounterLayout(shape);
  const words = new BigUint64Array(layout.words);
  const blocks = new TimedBlocks(words, shape);
  return { layout, words, blocks, labeled: () => ({ words, labels: blocks.labels }) };
}

const queue = (device: string) => ({ device, type: 'virtio-blk', queue: 'requests', size: 256 });
const region = (device: string, start: number) => ({ device, space: 'port' as const, start, size: 8 });

/** The reads of each address of a region. */
function reads({ words, layout }: ReturnType<typeof countersOf>, index: number): Map<number, bigint> {
  const found = new Map<number, bigint>();
  for (let entry = 0; entry < ADDRESS_ENTRIES; entry++) {
    const at = layout.address(entry);
    const key = parseAddressKey(words[at + ADDRESS.key]!);
    if (key?.region === index) found.set(key.address, words[at + ADDRESS.reads]!);
  }
  return found;
}

describe('counters continue', () => {
  test('by name, wherever their blocks are', () => {
    const [old, next] = [countersOf(SHAPE), countersOf(LARGER)];
    const com1 = timedRegion(old.blocks, region('com1', 0x3f8));
    old.blocks.queue(queue('blk0'));
    old.blocks.region(region('rtc', 0x70));
    old.blocks.statistic({ device: 'own', name: 'frames' }).add(7);
    // In another order, with something that is new.
    next.blocks.region(region('new', 0x100));
    next.blocks.region(region('rtc', 0x70));
    const com1There = timedRegion(next.blocks, region('com1', 0x3f8));
    next.blocks.queue(queue('new'));
    next.blocks.queue(queue('blk0'));
    next.blocks.statistic({ device: 'own', name: 'others' });
    next.blocks.statistic({ device: 'own', name: 'frames' }).add(1);

    old.words[old.layout.vcpu(1) + VCPU.exits + 3] = 11n;
    old.words[old.layout.vcpu(1) + VCPU.tid] = 4711n;
    old.words[old.layout.vcpu(1) + VCPU.state] = 2n;
    next.words[next.layout.vcpu(1) + VCPU.tid] = 12n;
    next.words[next.layout.vcpu(1) + VCPU.entries] = 1n;
    old.words[old.layout.vcpu(1) + VCPU.entries] = 100n;
    const counts = { requests: 5n, inFlight: 3n, maxInFlight: 9n };
    for (const [name, count] of Object.entries(counts))
      old.words[old.layout.queue(0) + QUEUE[name as keyof typeof counts]] = count;
    for (let address = 0; address < 8; address++) com1.read(0x3f8 + address, 100);
    com1There.read(0x3f8, 100);

    continueCounters(old.labeled(), next.labeled());
    const vcpu = next.layout.vcpu(1);
    expect([VCPU.exits + 3, VCPU.tid, VCPU.state, VCPU.entries].map(word => next.words[vcpu + word])).toEqual(
      [11n, 12n, 0n, 101n],
    );
    const blk = next.layout.queue(1);
    expect([QUEUE.requests, QUEUE.inFlight, QUEUE.maxInFlight].map(word => next.words[blk + word])).toEqual([
      5n,
      0n,
      9n,
    ]);
    expect(next.words[next.layout.region(2) + REGION.reads]).toBe(9n);
    expect(next.words[next.layout.region(0) + REGION.reads]).toBe(0n);
    expect([...reads(next, 2)].sort()).toEqual(
      Array.from({ length: 8 }, (_, address) => [0x3f8 + address, address === 0 ? 2n : 1n]),
    );
    expect(next.words[next.layout.statistic(1) + STATISTIC.value]).toBe(8n);
    // Each block still has its own owner.
    const ids = next.blocks.labels.regions.map(({ index, id }) => [
      next.words[next.layout.region(index) + REGION.id],
      BigInt(id),
    ]);
    for (const [word, id] of ids) expect(word).toBe(id);
  });

  test('whatever the counters of a subverted process contain', () => {
    const random = new Random(1);
    for (let round = 0; round < 20; round++) {
      const next = countersOf(SHAPE);
      next.blocks.region(region('com1', 0x3f8));
      const layout = new CounterLayout(SHAPE);
      const words = new BigUint64Array(layout.words).map(
        () => (BigInt(random.u32()) << 32n) | BigInt(random.u32()),
      );
      const anything = () => random.pick([0, 1, 77, 1e9, 2 ** 53, Number.MAX_VALUE]);
      const labels = {
        shape: { vcpus: anything(), queues: anything(), regions: anything() },
        queues: [{ id: anything(), slot: anything(), ...queue('blk0') }],
        regions: [{ id: anything(), index: anything(), ...region('com1', 0x3f8) }],
      };
      continueCounters({ words, labels }, next.labeled());
      expect(next.words).toHaveLength(layout.words);
      expect(next.words[next.layout.region(0) + REGION.id]).toBe(1n);
    }
  });
});
