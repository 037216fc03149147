import { beforeEach, expect, test } from 'vitest';
import type { QueueProgress, RunningQueue } from '../../../../src/devices/virtio/virtio-device.ts';
import { CardQueue } from '../../../../src/vmm/backends/net/card-queue.ts';

/** A thread that ends when the test lets it, or the kernel, which stops at once. */
class Server implements RunningQueue {
  readonly from: QueueProgress;
  ended: boolean;
  #onEnded: (() => void) | undefined;
  #asked = false;

  constructor(from: QueueProgress, isThread: boolean) {
    this.from = from;
    this.ended = !isThread;
  }

  requestStop(onEnded?: () => void): void {
    this.#asked = true;
    this.#onEnded = onEnded;
  }

  end(): void {
    this.ended = true;
    this.#onEnded?.();
  }

  stop(): QueueProgress | null {
    const { lastAvail } = this.from;
    return this.#asked && this.ended ? { lastAvail: lastAvail + 10, usedIndex: lastAvail + 10 } : null;
  }

  abandon(): QueueProgress | null {
    return this.stop();
  }
}

let servers: Server[];
let isThread: boolean;
let failure: string | null;
let said: string[];
let queue: CardQueue;
beforeEach(() => {
  [servers, isThread, failure, said] = [[], true, null, []];
  queue = new CardQueue(
    { lastAvail: 0, usedIndex: 0 },
    progress => {
      if (failure !== null) throw new Error(failure);
      servers.push(new Server(progress, isThread));
      return servers.at(-1)!;
    },
    reason => said.push(reason),
    () => said.push('ended'),
  );
});

const positions = () => servers.map(({ from }) => from.lastAvail);

test('the next thread continues where the first has stopped', () => {
  isThread = false;
  queue.restart();
  expect(positions()).toEqual([0]);
  servers[0]!.end();
  expect(positions()).toEqual([0, 10]);
  // The kernel stops at once.
  queue.restart();
  expect(positions()).toEqual([0, 10, 20]);
  queue.requestStop();
  expect([queue.stop(0), said]).toEqual([{ lastAvail: 30, usedIndex: 30 }, ['ended']]);
});

test('a device that stops the queue in the meantime gets its position', () => {
  let ended = 0;
  queue.restart();
  queue.restart();
  queue.requestStop(() => void ended++);
  expect(queue.stop(0)).toBeNull();
  servers[0]!.end();
  expect([ended, positions(), queue.stop(0)]).toEqual([1, [0], { lastAvail: 10, usedIndex: 10 }]);
  queue.restart();
  expect(positions()).toEqual([0]);
});

test('a queue that cannot be restarted is broken, and keeps its position', () => {
  failure = 'no thread';
  queue.restart();
  servers[0]!.end();
  expect(said).toEqual(['no thread']);
  expect(queue.stop(0)).toEqual({ lastAvail: 10, usedIndex: 10 });
});
