/** The queue and device that counters belong to. */
export type QueueName = {
  readonly device: string;
  /** The type of the device: `virtio-blk`. */
  readonly type: string;
  readonly queue: string;
  /** Largest number of descriptors; 0 for the frames of a card without virtqueues. */
  readonly size: number;
};

/** The queue name of a SCSI unit: its commands, which are also counted in a queue of its controller. */
export const UNIT_COMMANDS = 'commands';

/** What a model that serves a queue itself counts. */
export type QueueCount =
  | 'kicks'
  | 'interrupts'
  | 'interruptsSuppressed'
  | 'requests'
  | 'bytesToGuest'
  | 'bytesFromGuest'
  | 'errors'
  | 'dropped'
  | 'batches';

/** The counters of one virtqueue, updated by the code that serves it: a native thread, by `slot`, or a model. */
export interface QueueCounters {
  readonly slot: number;
  /** @param amount from 0 to 2^53 */
  add(count: QueueCount, amount: number): void;
  /** Zeroes them for another queue. Nothing may update them any more. */
  release(): void;
}
