import type { DiskErrors } from '../backends/disk.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';

/** Guest-physical memory that holds a part of a transfer's data. */
export type Segment = { readonly address: number; readonly length: number };

/**
 * Why a request failed: the host failed (and the disk's error policy does not hold the request), the range is outside
 * the disk or not in whole sectors, the disk is read-only, or a segment is not memory that permits the access.
 */
export type DiskPortError = 'host' | 'range' | 'readonly' | 'memory';

/**
 * Called once on the machine thread, never from within the call that began the request: on an event, or within `poll`.
 */
export type DiskDone = (error: DiskPortError | null) => void;

/**
 * A disk for a model on the machine thread: requests are carried out in the background, in any order, at most
 * `maxRequests` at a time; more of them are queued. Offsets and lengths are bytes, multiples of 512.
 */
export interface DiskPort {
  /** Requests that have not completed. */
  readonly pending: number;
  /**
   * Transfers directly between the disk and guest memory; the lengths of the segments add up to the transfer's length.
   */
  transfer(access: 'read' | 'write', offset: number, segments: readonly Segment[], done: DiskDone): void;
  /** Fills `bytes`, which nothing else may touch until `done`. */
  readInto(offset: number, bytes: Uint8Array, done: DiskDone): void;
  /** Writes `bytes` as they are now. */
  writeFrom(offset: number, bytes: Uint8Array, done: DiskDone): void;
  /** Makes durable what completed requests have written. */
  flush(done: DiskDone): void;
  /** The content of a range is no longer needed. Does nothing if the disk cannot free space. */
  discard(offset: number, length: number, done: DiskDone): void;
  /**
   * Zeroes a range. @param unmaps its space may be freed, where discards do that
   */
  writeZeroes(offset: number, length: number, unmaps: boolean, done: DiskDone): void;
  /**
   * Completes requests that have been carried out, before the machine thread is notified: for a driver that polls for
   * completion.
   */
  poll(): void;
  /**
   * Drops all requests without calling their `done`; they may have been carried out in part. Later requests begin once
   * this is done. @param ended called once no dropped request reaches the disk or memory any more; late or never while
   * the host does not respond
   */
  cancel(ended: () => void): void;
  /** As `Device.quiesce`: requests that have not completed are carried out again from the start after `resume`. */
  quiesce(done: () => void): void;
  resume(): void;
  /** The kinds of errors that are new or, with `endPeriod`, those that have occurred again. */
  diskErrors(endPeriod: boolean): readonly DiskErrors[];
  /** Forgets all requests. Those already submitted to the host end on their own. */
  close(): void;
}

export type DiskPortOptions = {
  /** Counts its requests; the model releases the counters after `close`. */
  readonly counters: QueueCounters;
  /** `diskErrors` has new kinds of errors; called on the machine thread. */
  readonly onDiskErrors: () => void;
  /** The port's thread has died: all further requests fail. */
  readonly onBroken: (reason: string) => void;
};
