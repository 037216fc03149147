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
  /** Called once a queue that was asked to stop has ended. */
  readonly #onEnded = new Map<number, () => void>();

  constructor(native: NativeVm) {
    this.#native = native;
  }

  /** Starts a thread that serves a virtio-blk queue. */
  startBlk(config: BlkQueueConfig, events: QueueThreadEvents): BlockQueue {
    const native = this.#native;
    const handle = native.startBlkQueue(config);
    this.#events.set(handle, events);
    return {
      requestStop: onEnded => {
        if (onEnded !== undefined) this.#onEnded.set(handle, onEnded);
        native.requestQueueStop(handle);
      },
      stop: limitMs => {
        const progress = native.stopQueue(handle, limitMs);
        if (progress !== null) this.#forget(handle);
        return progress;
      },
      abandon: () => {
        this.#forget(handle);
        return native.abandonQueue(handle);
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

  /** The reactor reports that the thread of the queue with this handle, which was asked to stop, has ended. */
  ended(handle: number): void {
    const onEnded = this.#onEnded.get(handle);
    this.#onEnded.delete(handle);
    onEnded?.();
  }

  #forget(handle: number): void {
    this.#events.delete(handle);
    this.#onEnded.delete(handle);
  }
}
