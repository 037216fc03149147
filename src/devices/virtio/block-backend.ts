import type { QueueProgress, VirtioQueue } from './virtio-device.ts';

/** What a disk's bytes are kept in. The requests of a queue are served off the machine thread. */
export interface BlockBackend {
  /** Bytes, a multiple of 512. */
  readonly size: number;
  readonly readonly: boolean;
  /** Bytes of the backing store's own block, for virtio-blk's topology. */
  readonly blockSize: number;
  readonly canDiscard: boolean;
  /** Serves a virtio-blk request queue (virtio 1.3 §5.2.6) until `stop`. */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue;
  close(): void;
}

export type BlockQueueOptions = {
  readonly features: bigint;
  readonly serial: string;
  /** The driver broke the rules of the ring, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};

export interface BlockQueue {
  /** Waits for the requests in flight, then leaves the ring alone. */
  stop(): QueueProgress;
}
