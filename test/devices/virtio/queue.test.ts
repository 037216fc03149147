import { beforeEach, describe, expect, test } from 'vitest';
import { QueueError, SplitQueue } from '../../../src/devices/virtio/queue.ts';
import type { VirtioQueue } from '../../../src/devices/virtio/virtio-device.ts';
import { FakeQueueCounters } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { Random } from '../../support/random.ts';
import { EVENT_IDX, INDIRECT } from './guest-driver.ts';

const SIZE = 8;
const DESCRIPTORS = 0x1000;
const AVAILABLE = 0x2000;
const USED = 0x3000;
const TABLE = 0x4000;
const BUFFER = 0x8000;
const RAM = 0x1_0000;
const NEXT = 1;
const WRITE = 2;
const INDIRECT_FLAG = 4;

let memory: FakeMemory;
let signals: number;

beforeEach(() => {
  memory = new FakeMemory(RAM);
  signals = 0;
});

function open(features = 0n, progress = { lastAvail: 0, usedIndex: 0 }): SplitQueue {
  const counters = new FakeQueueCounters(0);
  const queue: VirtioQueue = {
    index: 0,
    size: SIZE,
    descriptors: DESCRIPTORS,
    available: AVAILABLE,
    used: USED,
    kickFd: 1,
    callFd: 2,
    progress,
    counterSlot: 0,
    counters,
  };
  return new SplitQueue(memory, queue, features, fd => {
    expect(fd).toBe(2);
    signals++;
  });
}

function describeAt(
  index: number,
  address: bigint | number,
  length: number,
  flags: number,
  next = 0,
  table = DESCRIPTORS,
) {
  memory.writeU64(table + 16 * index, BigInt(address));
  memory.writeU32(table + 16 * index + 8, length);
  memory.writeU16(table + 16 * index + 12, flags);
  memory.writeU16(table + 16 * index + 14, next);
}

function expose(...heads: number[]) {
  let index = memory.readU16(AVAILABLE + 2);
  for (const head of heads) memory.writeU16(AVAILABLE + 4 + 2 * (index++ % SIZE), head);
  memory.writeU16(AVAILABLE + 2, index & 0xffff);
}

describe('chains', () => {
  test('arrive in ring order, readable buffers before writable ones', () => {
    describeAt(2, BUFFER, 16, NEXT, 5);
    describeAt(5, BUFFER + 16, 8, NEXT | WRITE, 0);
    describeAt(0, BUFFER + 24, 4, WRITE);
    describeAt(7, BUFFER + 64, 1, 0);
    expose(2, 7);
    const queue = open();
    expect(queue.pop()).toMatchObject({
      head: 2,
      readable: [{ address: BUFFER, length: 16 }],
      writable: [
        { address: BUFFER + 16, length: 8 },
        { address: BUFFER + 24, length: 4 },
      ],
    });
    expect(queue.pop()).toMatchObject({ head: 7, writable: [] });
    expect(queue.pop()).toBeNull();
    expect(queue.progress).toEqual({ lastAvail: 2, usedIndex: 0 });
  });

  test('may end in an indirect table longer than the ring', () => {
    for (let i = 0; i < 20; i++) describeAt(i, BUFFER + i, 1, i < 19 ? NEXT : 0, i + 1, TABLE);
    describeAt(0, BUFFER + 0x100, 4, NEXT, 1);
    describeAt(1, TABLE, 20 * 16, INDIRECT_FLAG);
    expose(0);
    expect(open(INDIRECT).pop()!.readable).toHaveLength(21);
  });

  test('wrap with the 16-bit indices', () => {
    memory.writeU16(AVAILABLE + 2, 0xffff);
    describeAt(0, BUFFER, 1, WRITE);
    const queue = open(0n, { lastAvail: 0xffff, usedIndex: 0xffff });
    expose(0, 0);
    for (let i = 0; i < 2; i++) queue.push(queue.pop()!, 1);
    expect(queue.pop()).toBeNull();
    expect(queue.progress).toEqual({ lastAvail: 1, usedIndex: 1 });
    expect(memory.readU16(USED + 2)).toBe(1);
  });

  test('appear in the used ring when returned', () => {
    describeAt(3, BUFFER, 64, WRITE);
    expose(3);
    const queue = open();
    queue.push(queue.pop()!, 48);
    expect([memory.readU32(USED + 4), memory.readU32(USED + 8), memory.readU16(USED + 2)]).toEqual([
      3, 48, 1,
    ]);
  });
});

describe('a driver that violates the protocol', () => {
  const broken: [string, RegExp, () => void][] = [
    ['a head outside the table', /descriptor 8 in a table of 8/, () => expose(8)],
    [
      'a next index outside the table',
      /descriptor 9/,
      () => {
        describeAt(0, BUFFER, 1, NEXT, 9);
        expose(0);
      },
    ],
    [
      'a chain that loops',
      /loops/,
      () => {
        describeAt(0, BUFFER, 1, NEXT, 1);
        describeAt(1, BUFFER, 1, NEXT, 0);
        expose(0);
      },
    ],
    [
      'a descriptor that follows itself',
      /loops/,
      () => {
        describeAt(4, BUFFER, 0, NEXT, 4);
        expose(4);
      },
    ],
    [
      'a buffer outside RAM',
      /not in RAM/,
      () => {
        describeAt(0, RAM, 1, 0);
        expose(0);
      },
    ],
    [
      'a buffer that leaves RAM',
      /not in RAM/,
      () => {
        describeAt(0, RAM - 1, 2, WRITE);
        expose(0);
      },
    ],
    [
      'an address that wraps at 2^64',
      /not in RAM/,
      () => {
        describeAt(0, 0xffff_ffff_ffff_fff0n, 0x20, WRITE);
        expose(0);
      },
    ],
    [
      'a readable buffer after a writable one',
      /readable buffer after/,
      () => {
        describeAt(0, BUFFER, 1, NEXT | WRITE, 1);
        describeAt(1, BUFFER, 1, 0);
        expose(0);
      },
    ],
    [
      'an indirect table of odd length',
      /17 bytes/,
      () => {
        describeAt(0, TABLE, 17, INDIRECT_FLAG);
        expose(0);
      },
    ],
    [
      'an empty indirect table',
      /0 bytes/,
      () => {
        describeAt(0, TABLE, 0, INDIRECT_FLAG);
        expose(0);
      },
    ],
    [
      'an indirect table outside RAM',
      /not in RAM/,
      () => {
        describeAt(0, RAM - 16, 32, INDIRECT_FLAG);
        expose(0);
      },
    ],
    [
      'an indirect table in an indirect table',
      /inside/,
      () => {
        describeAt(0, TABLE, 16, INDIRECT_FLAG, 0, TABLE);
        describeAt(0, TABLE, 16, INDIRECT_FLAG);
        expose(0);
      },
    ],
    [
      'an indirect descriptor with NEXT set',
      /NEXT/,
      () => {
        describeAt(0, TABLE, 16, INDIRECT_FLAG | NEXT, 1);
        expose(0);
      },
    ],
    [
      'an indirect chain that loops',
      /loops/,
      () => {
        describeAt(0, BUFFER, 1, NEXT, 0, TABLE);
        describeAt(0, TABLE, 32, INDIRECT_FLAG);
        expose(0);
      },
    ],
    ['an available index that jumps', /9 buffers available/, () => memory.writeU16(AVAILABLE + 2, 9)],
    ['an available index that goes back', /65535 buffers/, () => memory.writeU16(AVAILABLE + 2, 0xffff)],
  ];

  test.each(broken)('%s is an error that says so', (_what, message, act) => {
    act();
    const queue = open(INDIRECT);
    expect(() => queue.pop()).toThrow(QueueError);
    expect(() => queue.pop()).toThrow(message);
  });

  test('an indirect descriptor without negotiation is an error', () => {
    describeAt(0, TABLE, 16, INDIRECT_FLAG);
    expose(0);
    expect(() => open().pop()).toThrow(/not negotiated/);
  });

  test('a chain takes bounded time, however long its table', () => {
    memory = new FakeMemory(0x10_0000);
    for (let i = 0; i < 0x8000; i++) describeAt(i, BUFFER, 0, NEXT, i + 1, TABLE);
    describeAt(0, TABLE, 0x8000 * 16, INDIRECT_FLAG);
    expose(0);
    expect(() => open(INDIRECT).pop()).toThrow(/too long/);
  });

  test.each([1, 2, 3, 4])('random rings give chains inside RAM or an error (seed %i)', seed => {
    const random = new Random(seed);
    let chains = 0;
    for (let round = 0; round < 3_000; round++) {
      for (let i = 0; i < SIZE; i++) {
        for (const table of [DESCRIPTORS, TABLE]) {
          const address = random.pick([BUFFER, TABLE, RAM - 8, 2 ** 40, random.u32()]);
          const length = random.pick([0, 16, 32, 128, random.below(256), random.u32()]);
          describeAt(i, address, length, random.below(8), random.below(SIZE + 2), table);
        }
      }
      memory.writeU16(AVAILABLE + 2, random.below(SIZE + 3));
      memory.writeU16(AVAILABLE + 4, random.below(SIZE + 1));
      const queue = open(INDIRECT | EVENT_IDX);
      try {
        const chain = queue.pop();
        if (chain === null) continue;
        chains++;
        for (const { address, length } of [...chain.readable, ...chain.writable]) {
          expect(address + length).toBeLessThanOrEqual(RAM);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(QueueError);
      }
    }
    expect(chains).toBeGreaterThan(50);
  });
});

describe('interrupts and kicks', () => {
  beforeEach(() => {
    for (let i = 0; i < SIZE; i++) describeAt(i, BUFFER, 1, WRITE);
  });

  /** Returns `count` chains, then decides on an interrupt. */
  function serve(queue: SplitQueue, count: number): boolean {
    expose(...Array.from({ length: count }, (_, i) => i));
    for (let i = 0; i < count; i++) queue.push(queue.pop()!, 1);
    return queue.interrupt();
  }

  test('without EVENT_IDX the flag decides', () => {
    const queue = open();
    expect(serve(queue, 1)).toBe(true);
    memory.writeU16(AVAILABLE, 1);
    expect(serve(queue, 1)).toBe(false);
    expect(signals).toBe(1);
  });

  test('with EVENT_IDX the driver is notified when the used index passes its event index', () => {
    const queue = open(EVENT_IDX);
    const event = (index: number) => memory.writeU16(AVAILABLE + 4 + 2 * SIZE, index);
    expect(serve(queue, 1)).toBe(true);
    event(3);
    expect(serve(queue, 2)).toBe(false);
    expect(serve(queue, 1)).toBe(true);
    expect(serve(queue, 1)).toBe(false);
    event(7);
    expect(serve(queue, 6)).toBe(true);
    expect(queue.progress.usedIndex).toBe(11);
  });

  test('rearm requests a kick at the next buffer, and sees one that has already arrived', () => {
    const queue = open(EVENT_IDX);
    serve(queue, 3);
    expect(queue.rearm()).toBe(false);
    expect(memory.readU16(USED + 4 + 8 * SIZE)).toBe(3);
    expose(0);
    expect(queue.rearm()).toBe(true);
  });
});
