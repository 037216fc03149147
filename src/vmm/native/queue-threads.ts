import type { QueueProgress } from '../../devices/virtio/virtio-device.ts';
import type { BlkQueueConfig, NativeVm } from './native.ts';

/** The queue threads of a machine, and the callbacks for failed ones. */
export class QueueThreads {
  readonly #native: NativeVm;
  readonly #onBroken = new Map<number, (reason: string) => void>();

  constructor(native: NativeVm) {
    this.#native = native;
  }

  /** Starts a thread that serves a virtio-blk queue. @returns a function that stops it */
  startBlk(config: BlkQueueConfig, onBroken: (reason: string) => void): { stop(): QueueProgress } {
    const handle = this.#native.startBlkQueue(config);
    this.#onBroken.set(handle, onBroken);
    return {
      stop: () => {
        this.#onBroken.delete(handle);
        return this.#native.stopQueue(handle);
      },
    };
  }

  /** The reactor reports that the queue with this handle is no longer served. */
  broken(handle: number): void {
    this.#onBroken.get(handle)?.(this.#native.queueError(handle));
  }
}
