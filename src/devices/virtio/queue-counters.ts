/** Which queue of which device counters are for. */
export type QueueName = {
  readonly device: string;
  /** Of the device: `virtio-blk`. */
  readonly type: string;
  readonly queue: string;
  /** Largest number of descriptors; 0: of no virtqueue, but of the frames of a card that has none. */
  readonly size: number;
};

/** The name of the queue of a SCSI unit: its commands, which have been counted in a queue of its controller, too. */
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

/** The counters of one virtqueue, in which whoever serves it counts: a native thread, by `slot`, or a model. */
export interface QueueCounters {
  readonly slot: number;
  /** @param amount from 0 to 2^53 */
  add(count: QueueCount, amount: number): void;
  /** Zeroes them for another queue. Nothing may count in them any more. */
  release(): void;
}
