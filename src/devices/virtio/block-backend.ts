import type { DiskErrors, DiskLimits, ImageFormat } from '../backends/disk.ts';
import type { DiskPort, DiskPortOptions } from '../backends/disk-port.ts';
import type { RunningQueue, VirtioQueue } from './virtio-device.ts';

/** The backing store of a disk. It serves the requests of a queue off the machine thread. */
export interface BlockBackend {
  /** Identifies its file among all others. */
  readonly file: string;
  /** Bytes, a multiple of 512. `resize` changes it. */
  readonly size: number;
  readonly readonly: boolean;
  /** The block size of the backing store in bytes, for virtio-blk's topology. */
  readonly blockSize: number;
  readonly canDiscard: boolean;
  /** Its handles for native threads other than virtio-blk's: those of a SCSI controller. */
  readonly handles: DiskHandles;
  readonly format: ImageFormat;
  /** Paths of the files that back its image, the next one first. */
  readonly backing: readonly string[];
  /** Why nothing is written to its image any more: its tables are corrupt; null if they are not known to be. */
  readonly corruption: string | null;
  /** Serves a virtio-blk request queue (virtio 1.3 §5.2.6) until stopped. */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue;
  /** Serves a model on the machine thread instead. One port at a time. */
  openPort(options: DiskPortOptions): DiskPort;
  /** Whether a completed write is on stable storage, as after a flush. Applies immediately, also to running queues. */
  setWriteThrough(on: boolean): void;
  /** The size of the store is now `bytes`, a multiple of 512. Applies immediately. */
  resize(bytes: number): void;
  /**
   * The most that all queues together get. Applies immediately, also to requests that wait because of an earlier limit.
   */
  setLimits(limits: DiskLimits): void;
  close(): void;
}

/** Handles in the native library. */
export type DiskHandles = { readonly image: number; readonly limiter: number };

/** The limits of a request that the config space advertises (virtio 1.3 §5.2.4). Requests beyond them are refused. */
export type RequestLimits = {
  /** `seg_max`: buffers of data. */
  readonly segments: number;
  /** `max_discard_seg` and `max_write_zeroes_seg`. */
  readonly ranges: number;
  /** `max_discard_sectors` and `max_write_zeroes_sectors`. */
  readonly rangeSectors: number;
};

export type BlockQueueOptions = {
  readonly features: bigint;
  readonly serial: string;
  readonly limits: RequestLimits;
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
  /** `diskErrors` has new kinds of errors; called on the machine thread. */
  readonly onDiskErrors: () => void;
};

export interface BlockQueue extends RunningQueue {
  /**
   * The kinds of disk errors that have not been reported yet; with `endPeriod`, those that have recurred since they
   * were reported, and the others are forgotten.
   */
  diskErrors(endPeriod: boolean): readonly DiskErrors[];
}
