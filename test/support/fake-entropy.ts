import type { EntropyQueueOptions, EntropySource } from '../../src/devices/virtio/entropy-source.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../src/devices/virtio/virtio-device.ts';

/** A source whose queues only record how they were started. */
export class FakeEntropy implements EntropySource {
  /** Running queues, by kick eventfd, which identifies the device. */
  readonly running = new Map<number, { queue: VirtioQueue; options: EntropyQueueOptions }>();
  /** The progress that the next stopped queue reports. */
  progress: QueueProgress = { lastAvail: 0, usedIndex: 0 };

  startQueue(queue: VirtioQueue, options: EntropyQueueOptions): RunningQueue {
    if (this.running.has(queue.kickFd)) throw new Error('the queue runs already');
    this.running.set(queue.kickFd, { queue, options });
    const stop = () => {
      if (!this.running.delete(queue.kickFd)) throw new Error('the queue does not run');
      return this.progress;
    };
    return { requestStop: () => {}, stop, abandon: stop };
  }
}
