import type { QueueProgress, VirtioQueue } from './virtio-device.ts';

/** The backing store of a disk. It serves the requests of a queue off the machine thread. */
export interface BlockBackend {
  /** Bytes, a multiple of 512. */
  readonly size: number;
  readonly readonly: boolean;
  /** Bytes of a block of the backing store, for virtio-blk's topology. */
  readonly blockSize: number;
  readonly canDiscard: boolean;
  /** Serves a virtio-blk request queue (virtio 1.3 §5.2.6) until `stop`. */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue;
  close(): void;
}

export type BlockQueueOptions = {
  readonly features: bigint;
  readonly serial: string;
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};

export interface BlockQueue {
  /** Waits for the requests in flight, then stops accessing the ring. */
  stop(): QueueProgress;
}
