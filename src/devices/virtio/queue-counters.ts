/** Which queue of which device counters are for. */
export type QueueName = {
  readonly device: string;
  /** Of the device: `virtio-blk`. */
  readonly type: string;
  readonly queue: string;
  /** Largest number of descriptors. */
  readonly size: number;
};

/** The counters of one virtqueue. For a queue served by a native thread, that thread counts, by `slot`. */
export interface QueueCounters {
  readonly slot: number;
  /** The driver kicked `count` times. */
  kicked(times: number): void;
  /** A batch was found while kicks were suppressed. */
  kickSuppressed(): void;
  interrupted(): void;
  interruptSuppressed(): void;
  /** A chain was taken from the avail ring. */
  taken(): void;
  /** A chain was returned `ns` nanoseconds after it was taken. */
  returned(ns: number, bytesToGuest: number, bytesFromGuest: number, failed: boolean): void;
  /** Work was found in the avail ring. */
  batch(): void;
  /** Zeroes them for another queue. Nothing may count in them any more, no native thread either. */
  release(): void;
}
