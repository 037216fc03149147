import type { DiskErrors, DiskLimits, ImageFormat } from '../../src/devices/backends/disk.ts';
import type { DiskPort, DiskPortOptions } from '../../src/devices/backends/disk-port.ts';
import type { GuestMemory } from '../../src/devices/guest-memory.ts';
import type { BlockBackend, BlockQueue, BlockQueueOptions } from '../../src/devices/virtio/block-backend.ts';
import type { QueueProgress, VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';
import { FakeDiskPort, SparseContent } from './fake-disk-port.ts';
import { FakeMemory } from './fake-memory.ts';

/** A disk whose queues only record how they were started; its port stores what is written. */
export class FakeBlockBackend implements BlockBackend {
  readonly file = 'fd00:1';
  size = 64 * 2 ** 20;
  readonly = false;
  blockSize = 4096;
  canDiscard = true;
  readonly handles = { image: 0, limiter: 0 };
  format: ImageFormat = 'raw';
  backing: readonly string[] = [];
  corruption: string | null = null;
  /** Running queues, by index. */
  readonly running = new Map<number, { queue: VirtioQueue; options: BlockQueueOptions }>();
  /** The progress that the next stopped queue reports. */
  progress: QueueProgress = { lastAvail: 0, usedIndex: 0 };
  /** Whether the host delays queues that are asked to stop. */
  hangs = false;
  /** Queues that were asked to stop but have not yet, by index: calling the function stops the queue. */
  readonly held = new Map<number, () => void>();
  /** Abandoned queues. */
  readonly abandoned: number[] = [];
  /** Starting this queue fails. */
  refuse: number | null = null;
  closed = false;
  writeThrough = false;
  limits: DiskLimits = {};
  /** New kinds of disk errors, by queue. */
  readonly errors = new Map<number, DiskErrors[]>();
  /** Kinds that have recurred by the end of a period. */
  readonly errorsAgain = new Map<number, DiskErrors[]>();
  readonly content = new SparseContent();
  /** The memory that its ports transfer to and from. */
  memory: GuestMemory = new FakeMemory(0);
  /** The port that was opened last. */
  port: FakeDiskPort | null = null;

  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue {
    if (queue.index === this.refuse) throw new Error('no thread for the queue');
    if (this.running.has(queue.index)) throw new Error(`queue ${queue.index} runs already`);
    this.running.set(queue.index, { queue, options });
    const { index } = queue;
    let stopped = false;
    return {
      requestStop: onEnded => {
        this.held.set(index, () => {
          this.held.delete(index);
          stopped = true;
          onEnded?.();
        });
      },
      stop: () => {
        if (!this.hangs && this.held.delete(index)) stopped = true;
        if (!stopped) return null;
        if (!this.running.delete(index)) throw new Error(`queue ${index} does not run`);
        return this.progress;
      },
      abandon: () => {
        if (!this.held.delete(index)) throw new Error(`queue ${index} was not asked to stop`);
        this.running.delete(index);
        this.abandoned.push(index);
        return null;
      },
      diskErrors: endPeriod => {
        if (!this.running.has(index)) throw new Error(`queue ${index} does not run`);
        const errors = endPeriod ? this.errorsAgain : this.errors;
        const taken = errors.get(index) ?? [];
        errors.delete(index);
        return taken;
      },
    };
  }

  openPort(options: DiskPortOptions): DiskPort {
    this.port = new FakeDiskPort(this, this.memory, options);
    return this.port;
  }

  /** Lets the delayed queues stop. */
  release(): void {
    for (const end of [...this.held.values()]) end();
  }

  setWriteThrough(on: boolean): void {
    this.writeThrough = on;
  }

  resize(bytes: number): void {
    this.size = bytes;
  }

  setLimits(limits: DiskLimits): void {
    this.limits = limits;
  }

  close(): void {
    if (this.running.size > 0 || this.port?.closed === false) {
      throw new Error('a queue or a port still uses the disk');
    }
    this.closed = true;
  }
}
