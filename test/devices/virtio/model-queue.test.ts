import { describe, expect, test } from 'vitest';
import { ModelQueue } from '../../../src/devices/virtio/model-queue.ts';
import { initialProgress } from '../../../src/devices/virtio/queue-progress.ts';
import type { Chain } from '../../../src/devices/virtio/ring/chain.ts';
import type { QueueProgress } from '../../../src/devices/virtio/virtio-device.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { Random } from '../../support/random.ts';
import {
  type Offered,
  PackedRingDriver,
  type RingDriver,
  SplitRingDriver,
} from '../../support/ring-drivers.ts';
import { EVENT_IDX, INDIRECT, PACKED, VERSION_1 } from './guest-driver.ts';

const SIZE = 8;
const PLACE = { size: SIZE, descriptors: 0x1000, available: 0x2000, used: 0x3000 };
/** Where the buffers of the chain with an id are, and its indirect table. */
const dataOf = (id: number) => 0x1_0000 + 0x100 * id;
const tableOf = (id: number) => 0x8_0000 + 0x100 * id;

/** A queue whose model returns each chain's data with every byte incremented. */
class Rig {
  readonly machine = new FakeMachine();
  readonly driver: RingDriver;
  readonly kickFd = this.machine.eventFds.create();
  readonly callFd = this.machine.eventFds.create();
  readonly counters = this.machine.services.allocateQueueCounters({
    ...{ device: 'test0', type: 'test', queue: 'requests', size: SIZE },
  });
  /** Chains that the model has taken and not returned yet. */
  readonly held: Chain[] = [];
  holds = false;
  broken: string | null = null;
  queue: ModelQueue | null = null;
  #progress: QueueProgress;
  readonly #features: bigint;

  constructor(features: bigint) {
    this.#features = features;
    const isPacked = (features & PACKED) !== 0n;
    const Driver = isPacked ? PackedRingDriver : SplitRingDriver;
    this.driver = new Driver(this.machine.memory, PLACE, (features & EVENT_IDX) !== 0n);
    this.#progress = initialProgress(isPacked);
  }

  start(): this {
    const { machine, kickFd, callFd, counters } = this;
    this.queue = new ModelQueue(
      { index: 0, ...PLACE, kickFd, callFd, counters, progress: this.#progress },
      { features: this.#features, broken: reason => (this.broken = reason) },
      machine.services,
      queue => {
        for (let chain = queue.take(); chain !== null; chain = queue.take()) {
          if (this.holds) this.held.push(chain);
          else this.#answer(queue, chain);
        }
      },
    );
    return this;
  }

  stop(): void {
    this.#progress = this.queue!.stop();
    this.held.length = 0;
  }

  kick(): void {
    this.machine.eventFds.signal(this.kickFd);
  }

  #answer(queue: ModelQueue, chain: Chain): void {
    const bytes = queue.read(chain, 0, 1000);
    queue.giveBack(
      chain,
      queue.write(
        chain,
        0,
        bytes.map(byte => byte + 1),
      ),
    );
  }
}

const kinds = [0n, EVENT_IDX, PACKED, PACKED | EVENT_IDX].map(bits => [bits | INDIRECT | VERSION_1] as const);

describe.each(kinds)('a queue with features %d', features => {
  test('answers every chain of any shape, across stops', () => {
    const random = new Random(Number(features & 0xff_ffff_ffffn));
    const rig = new Rig(features).start();
    const { machine, driver } = rig;
    const expected = new Map<number, { readonly at: number; readonly bytes: number[] }>();
    let answered = 0;
    while (answered < 2000) {
      rig.holds = random.below(3) === 0;
      for (let count = random.below(4); count > 0; count--) {
        const id = driver.nextId;
        if (id === null) break;
        const bytes = Array.from({ length: 1 + random.below(20) }, () => random.below(255));
        const at = dataOf(id);
        machine.memory.writable(at, bytes.length).set(bytes);
        const split = random.below(bytes.length);
        const buffers: Offered[] = [
          { address: at, length: split },
          { address: at + split, length: bytes.length - split },
          { address: at + 0x40, length: 1 + split, write: true },
          { address: at + 0x41 + split, length: 32, write: true },
        ];
        if (!driver.offer(buffers, random.below(2) === 0 ? tableOf(id) : undefined)) break;
        expected.set(id, { at: at + 0x40, bytes: bytes.map(byte => byte + 1) });
        if (driver.wantsKick) rig.kick();
      }
      machine.eventFds.settle();
      if (random.below(4) === 0) {
        rig.stop();
        rig.holds = false;
        rig.start();
        machine.eventFds.settle();
      } else if (rig.held.length > 0) {
        // In another order.
        for (const chain of rig.held.splice(0).reverse()) {
          const bytes = rig.queue!.read(chain, 0, 1000);
          rig.queue!.giveBack(
            chain,
            rig.queue!.write(
              chain,
              0,
              bytes.map(byte => byte + 1),
            ),
          );
        }
        rig.queue!.publish();
      }
      for (const { id, written } of driver.collect()) {
        const { at, bytes } = expected.get(id)!;
        expect([...machine.memory.readable(at, written)]).toEqual(bytes);
        expected.delete(id);
        answered++;
      }
      expect(rig.broken).toBeNull();
    }
    expect(expected.size).toBe(0);
    expect(machine.queueCounters[0]!.counts.get('requests')).toBe(answered);
  });

  test('a driver that waits for interrupts never misses one', () => {
    const random = new Random(7);
    const rig = new Rig(features).start();
    const { machine, driver } = rig;
    machine.eventFds.settle();
    let open = 0;
    for (let round = 0; round < 500; round++) {
      for (let count = random.below(3); count >= 0; count--) {
        const address = dataOf(driver.nextId!);
        if (
          driver.offer([
            { address, length: 4 },
            { address: address + 8, length: 4, write: true },
          ])
        )
          open++;
      }
      machine.eventFds.counts.set(rig.callFd, 0);
      rig.kick();
      machine.eventFds.settle();
      expect(machine.eventFds.counts.get(rig.callFd)).toBeGreaterThan(0);
      open -= driver.collect().length;
      expect(open).toBe(0);
    }
  });

  test('garbage in its rings breaks it or has no effect', () => {
    const random = new Random(11);
    let broken = 0;
    for (let round = 0; round < 300; round++) {
      const rig = new Rig(features);
      const { memory } = rig.machine;
      for (let at = 0x1000; at < 0x3100; at += 2) {
        memory.writeU16(at, random.pick([0, 1, 2, 4, 8, random.below(0x1_0000), 0x80, 0x8000, 0x8080]));
      }
      rig.start();
      for (let turn = 0; turn < 50; turn++) rig.machine.eventFds.turn();
      rig.stop();
      if (rig.broken === null) continue;
      expect(rig.broken).toMatch(/^the driver /);
      broken++;
    }
    expect(broken).toBeGreaterThan(10);
  });
});

test('a driver that adds buffers endlessly does not block the thread', () => {
  const rig = new Rig(VERSION_1).start();
  const { machine, driver } = rig;
  let work = 0;
  // Each answer makes room for another chain, as a second CPU would use it.
  rig.machine.eventFds.turn();
  const again = () => {
    driver.collect();
    while (driver.offer([{ address: 0x1_0000, length: 1 }])) work++;
  };
  again();
  rig.kick();
  machine.eventFds.turn();
  expect(work).toBe(SIZE);
  // It has signaled itself.
  again();
  expect(machine.eventFds.turn()).toBe(1);
  expect(driver.collect()).toHaveLength(SIZE);
});

test('a queue whose memory is removed breaks', () => {
  const rig = new Rig(VERSION_1).start();
  rig.machine.eventFds.settle();
  const { memory } = rig.machine;
  rig.driver.offer([{ address: 0x10_0000 - 4, length: 8 }]);
  rig.kick();
  rig.machine.eventFds.settle();
  expect(rig.broken).toBe('the driver put a buffer of 8 bytes at 0xffffc, which is not all memory');
  expect(memory.readU16(PLACE.used + 2)).toBe(0);
});
