import type { DiskErrors, DiskFormat, DiskLimits } from '../backends/disk.ts';
import type { DiskPort, DiskPortOptions } from '../backends/disk-port.ts';
import type { RunningQueue, VirtioQueue } from './virtio-device.ts';

/** The backing store of a disk. It serves the requests of a queue off the machine thread. */
export interface BlockBackend {
  /** What tells its file from every other. */
  readonly file: string;
  /** Bytes, a multiple of 512. `resize` changes it. */
  readonly size: number;
  readonly readonly: boolean;
  /** Bytes of a block of the backing store, for virtio-blk's topology. */
  readonly blockSize: number;
  readonly canDiscard: boolean;
  /** What it is called by the native threads of others than virtio-blk: those of a SCSI controller. */
  readonly handles: DiskHandles;
  readonly format: DiskFormat;
  /** Paths of the files that back its image, the next one first. */
  readonly backing: readonly string[];
  /** Why nothing is written to its image any more: its tables are wrong; null: they are not known to be. */
  readonly corruption: string | null;
  /** Serves a virtio-blk request queue (virtio 1.3 §5.2.6) until it is stopped. */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions): BlockQueue;
  /** Serves a model on the machine thread instead. One port at a time. */
  openPort(options: DiskPortOptions): DiskPort;
  /**
   * Whether a completed write is on stable storage, as after a flush. Applies at once, also to running queues.
   */
  setWriteThrough(on: boolean): void;
  /** The store has this many bytes now, a multiple of 512. Applies at once. */
  resize(bytes: number): void;
  /** The most that all queues together get. Applies at once, to requests that wait for an earlier limit as well. */
  setLimits(limits: DiskLimits): void;
  close(): void;
}

/** Numbers of the native library. */
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
   * The kinds of disk errors not reported yet; with `endPeriod`, those that have occurred again since they were, and the others
   * are forgotten.
   */
  diskErrors(endPeriod: boolean): readonly DiskErrors[];
}
