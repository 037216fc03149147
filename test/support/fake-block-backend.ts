import type {
  BlockBackend,
  BlockQueue,
  BlockQueueOptions,
  DiskErrors,
} from '../../src/devices/virtio/block-backend.ts';
import type { QueueProgress, VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

/** A disk whose queues do nothing but remember how they were started. */
export class FakeBlockBackend implements BlockBackend {
  size = 64 * 2 ** 20;
  readonly = false;
  blockSize = 4096;
  canDiscard = true;
  /** Queues that run now, by index. */
  readonly running = new Map<number, { queue: VirtioQueue; options: BlockQueueOptions }>();
  /** What the next stopped queue says. */
  progress: QueueProgress | null = { lastAvail: 0, usedIndex: 0 };
  /** Starting this queue fails. */
  refuse: number | null = null;
  closed = false;
  /** New kinds of disk errors, by queue. */
  readonly errors = new Map<number, DiskErrors[]>();
  /** Those that have occurred again by the end of a period. */
  readonly errorsAgain = new Map<number, DiskErrors[]>();

  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue {
    if (queue.index === this.refuse) throw new Error('no thread for the queue');
    if (this.running.has(queue.index)) throw new Error(`queue ${queue.index} runs already`);
    this.running.set(queue.index, { queue, options });
    return {
      requestStop: () => {},
      abandon: () => null,
      diskErrors: endPeriod => {
        const errors = endPeriod ? this.errorsAgain : this.errors;
        const taken = errors.get(queue.index) ?? [];
        errors.delete(queue.index);
        return taken;
      },
      stop: () => {
        if (!this.running.delete(queue.index)) throw new Error(`queue ${queue.index} does not run`);
        return this.progress;
      },
    };
  }

  close(): void {
    if (this.running.size > 0) throw new Error('a queue still uses the disk');
    this.closed = true;
  }
}
