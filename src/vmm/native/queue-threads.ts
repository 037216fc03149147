import type { BlockQueue } from '../../devices/virtio/block-backend.ts';
import type { BlkQueueConfig, NativeVm } from './native.ts';

/** What a machine is notified of by a queue thread. */
export type QueueThreadEvents = {
  readonly onBroken: (reason: string) => void;
  readonly onDiskErrors: () => void;
};

/** The queue threads of a machine, and the callbacks for their events. */
export class QueueThreads {
  readonly #native: NativeVm;
  readonly #events = new Map<number, QueueThreadEvents>();

  constructor(native: NativeVm) {
    this.#native = native;
  }

  /** Starts a thread that serves a virtio-blk queue. */
  startBlk(config: BlkQueueConfig, events: QueueThreadEvents): BlockQueue {
    const native = this.#native;
    const handle = native.startBlkQueue(config);
    this.#events.set(handle, events);
    return {
      requestStop: () => native.requestQueueStop(handle),
      stop: () => {
        this.#events.delete(handle);
        return native.stopQueue(handle);
      },
      diskErrors: endPeriod => native.diskErrors(handle, endPeriod),
    };
  }

  /** The reactor reports that the queue with this handle is no longer served. */
  broken(handle: number): void {
    this.#events.get(handle)?.onBroken(this.#native.queueError(handle));
  }

  /** The reactor reports that the queue with this handle has new kinds of disk errors. */
  diskErrors(handle: number): void {
    this.#events.get(handle)?.onDiskErrors();
  }
}
