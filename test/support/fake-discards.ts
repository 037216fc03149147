import type { Cancel } from '../../src/devices/device.ts';
import type { BalloonQueueOptions, PageDiscards } from '../../src/devices/virtio/balloon/page-discards.ts';
import type { RunningQueue, VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

/** Discards whose queues only record how they were started. */
export class FakeDiscards implements PageDiscards {
  obstacle: string | null = null;
  leavesZeros = true;
  /** The pages that wait. */
  waiting = new Uint8Array();
  readonly hooks = new Set<() => void>();
  /** Running queues, by kick eventfd. */
  readonly running = new Map<number, { queue: VirtioQueue; options: BalloonQueueOptions }>();

  onChanged(hook: () => void): Cancel {
    this.hooks.add(hook);
    return () => this.hooks.delete(hook);
  }

  saveWaiting(): Uint8Array {
    return this.waiting;
  }

  loadWaiting(saved: Uint8Array): boolean {
    if (saved.length % 2 !== 0) return false;
    this.waiting = saved.slice();
    return true;
  }

  startQueue(queue: VirtioQueue, options: BalloonQueueOptions): RunningQueue {
    if (this.running.has(queue.kickFd)) throw new Error('the queue runs already');
    this.running.set(queue.kickFd, { queue, options });
    const stop = () => {
      if (!this.running.delete(queue.kickFd)) throw new Error('the queue does not run');
      return queue.progress;
    };
    return { requestStop: () => {}, stop, abandon: stop };
  }
}
