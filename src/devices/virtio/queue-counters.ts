/** Which queue of which device counters are for. */
export type QueueName = {
  readonly device: string;
  /** Of the device: `virtio-blk`. */
  readonly type: string;
  readonly queue: string;
  /** Largest number of descriptors. */
  readonly size: number;
};

/** The counters of one virtqueue, in which the native thread that serves it counts, by `slot`. */
export interface QueueCounters {
  readonly slot: number;
  /** Zeroes them for another queue. Nothing may count in them any more. */
  release(): void;
}
