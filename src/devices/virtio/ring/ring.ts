import type { QueueProgress } from '../virtio-device.ts';
import type { Chain } from './chain.ts';

/**
 * One virtqueue in guest memory, for a device that runs on the machine thread. All methods may throw GuestMemoryError.
 */
export interface Ring {
  /** Excludes unfinished chains. */
  readonly progress: QueueProgress;
  /** The next chain that the driver makes available; null if none. @throws RingError */
  take(): Chain | null;
  /** The chains that had been taken and not returned when the queue was stopped. @throws RingError */
  retake(progress: QueueProgress): Chain[];
  /** Returns a chain in which the device wrote `length` bytes. The driver sees it no later than after `publish`. */
  giveBack(chain: Chain, length: number): void;
  /** Publishes the returned chains. @returns whether there were any */
  publish(): boolean;
  /** Whether the driver wants an interrupt for what has been published since the last call. */
  wantsInterrupt(): boolean;
  /** Enables a kick for the driver's next chain. @returns whether there is one already */
  enableKicks(): boolean;
  /** The part of `progress` with chains that were taken and not returned. */
  unfinished(chains: Iterable<Chain>): Pick<QueueProgress, 'unfinished' | 'unfinishedDescriptors'>;
}
