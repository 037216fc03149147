import type { DiskErrors } from '../backends/disk.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';

/** Guest-physical memory: where a part of a transfer's data is. */
export type Segment = { readonly address: number; readonly length: number };

/**
 * Why a request was not carried out: the host failed (and the disk's error policy does not hold the request back), it is not inside the disk or
 * not in whole sectors, the disk cannot be written, or a segment is not memory that may be accessed so.
 */
export type DiskPortError = 'host' | 'range' | 'readonly' | 'memory';

/** Called once on the machine thread, never from within the call that began the request: at an event, or within `poll`. */
export type DiskDone = (error: DiskPortError | null) => void;

/**
 * A disk for a model on the machine thread: requests are carried out in the background, in any order, at most `maxRequests` at a time; more of them
 * wait. Offsets and lengths are bytes, multiples of 512.
 */
export interface DiskPort {
  /** Requests that have not ended. */
  readonly pending: number;
  /** Between the disk and guest memory, directly; the segments together have the transfer's length. */
  transfer(access: 'read' | 'write', offset: number, segments: readonly Segment[], done: DiskDone): void;
  /** Fills `bytes`, which stays untouched by others until then. */
  readInto(offset: number, bytes: Uint8Array, done: DiskDone): void;
  /** Writes `bytes` as they are now. */
  writeFrom(offset: number, bytes: Uint8Array, done: DiskDone): void;
  /** Makes durable what has been written by requests that have ended. */
  flush(done: DiskDone): void;
  /** The content of a range is no longer needed. Does nothing if the disk cannot give space back. */
  discard(offset: number, length: number, done: DiskDone): void;
  /** Ends what has been carried out, before the machine thread has heard of it: for a driver that looks whether it has. */
  poll(): void;
  /** Ends all requests without a call of their `done`, which may have been carried out in part. Later ones begin when that is done. @param ended called when nothing of them reaches the disk or memory any more; late or never while the host does not answer */
  cancel(ended: () => void): void;
  /** As `Device.quiesce`: requests that have not ended are carried out again from their beginning after `resume`. */
  quiesce(done: () => void): void;
  resume(): void;
  /** The kinds of errors that are new, or with `endPeriod` those that have occurred again. */
  diskErrors(endPeriod: boolean): readonly DiskErrors[];
  /** Forgets all requests. What the host has of them is left to end by itself. */
  close(): void;
}

export type DiskPortOptions = {
  /** Where its requests are counted; the model releases them after `close`. */
  readonly counters: QueueCounters;
  /** `diskErrors` has new kinds of errors; called on the machine thread. */
  readonly onDiskErrors: () => void;
  /** The port's thread has failed: requests fail from now on. */
  readonly onBroken: (reason: string) => void;
};
