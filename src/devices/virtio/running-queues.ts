import type { QueueSetup } from './queue-setup.ts';
import type { RunningQueue, VirtioDevice, VirtioQueue } from './virtio-device.ts';

export type RunningQueueEvents = {
  /** The queue has stopped, and its position is in its setup. */
  readonly stopped: (queue: QueueSetup) => void;
  /** The device can't continue with the queue, which must still be stopped. */
  readonly broken: (queue: QueueSetup, reason: string) => void;
};

type Entry = { running: RunningQueue | null; stopping: boolean };

/** The queues that a device serves, or that have been asked to stop and have not stopped yet. */
export class RunningQueues {
  readonly #device: VirtioDevice;
  readonly #events: RunningQueueEvents;
  readonly #entries = new Map<QueueSetup, Entry>();

  constructor(device: VirtioDevice, events: RunningQueueEvents) {
    this.#device = device;
    this.#events = events;
  }

  get any(): boolean {
    return this.#entries.size > 0;
  }

  get draining(): boolean {
    for (const { stopping } of this.#entries.values()) if (stopping) return true;
    return false;
  }

  has(queue: QueueSetup): boolean {
    return this.#entries.has(queue);
  }

  start(queue: QueueSetup, description: VirtioQueue, features: bigint): void {
    const entry: Entry = { running: null, stopping: false };
    this.#entries.set(queue, entry);
    let failure: string | null = null;
    const broken = (reason: string) => {
      // While a queue starts, the device can't be asked to stop it yet. Late reports concern an earlier start.
      if (entry.running === null) failure ??= reason;
      else if (this.#entries.get(queue) === entry) this.#events.broken(queue, reason);
    };
    try {
      entry.running = this.#device.startQueue(description, { features, broken });
    } catch (error) {
      this.#entries.delete(queue);
      failure = error instanceof Error ? error.message : String(error);
    }
    if (failure !== null) this.#events.broken(queue, failure);
  }

  /** Asks the running queues among `queues` to stop. */
  stop(queues: readonly QueueSetup[]): void {
    // All are marked first, so that none counts as running when the first one reports its end.
    const running = queues.filter(queue => this.#entries.get(queue)?.stopping === false);
    for (const queue of running) this.#entries.get(queue)!.stopping = true;
    for (const queue of running) this.#requestStop(queue);
  }

  /** Waits at most `limitMs` for those that have been asked to stop. */
  settle(limitMs: number): void {
    const deadline = performance.now() + limitMs;
    for (const [queue, { stopping }] of [...this.#entries]) {
      if (stopping) this.#collect(queue, Math.max(0, deadline - performance.now()));
    }
  }

  /** Ends them for good: waits at most `limitMs`. @returns those that have not stopped, which are abandoned */
  abandon(limitMs: number): ReadonlySet<QueueSetup> {
    const entries = [...this.#entries];
    this.#entries.clear();
    for (const [, { running }] of entries) running!.requestStop();
    const deadline = performance.now() + limitMs;
    const left = entries.filter(([, { running }]) => {
      const patience = Math.max(0, deadline - performance.now());
      return running!.stop(patience) === null && running!.abandon() === null;
    });
    return new Set(left.map(([queue]) => queue));
  }

  #requestStop(queue: QueueSetup): void {
    const entry = this.#entries.get(queue)!;
    entry.running!.requestStop(() => {
      if (this.#entries.get(queue) === entry) this.#collect(queue, 0);
    });
    // A queue that is not served by a thread has stopped already.
    this.#collect(queue, 0);
  }

  /** Takes the position of a queue that has stopped, or stops within `limitMs`. */
  #collect(queue: QueueSetup, limitMs: number): void {
    const progress = this.#entries.get(queue)!.running!.stop(limitMs);
    if (progress === null) return;
    this.#entries.delete(queue);
    queue.progress = progress;
    this.#events.stopped(queue);
  }
}
