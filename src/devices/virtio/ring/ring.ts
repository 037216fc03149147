import type { QueueProgress } from '../virtio-device.ts';
import type { Chain } from './chain.ts';

/** One virtqueue in guest memory, from the side of a device that runs on the machine thread. All may throw GuestMemoryError. */
export interface Ring {
  /** Without the chains that are unfinished. */
  readonly progress: QueueProgress;
  /** The next chain that the driver offers; null: none. @throws RingError */
  take(): Chain | null;
  /** The chains that were taken in an earlier life of the queue and not given back. @throws RingError */
  retake(progress: QueueProgress): Chain[];
  /** Returns a chain in which the device wrote `length` bytes. The driver sees it after `publish` at the latest. */
  giveBack(chain: Chain, length: number): void;
  /** Publishes the returned chains. @returns whether there were any */
  publish(): boolean;
  /** Whether the driver wants an interrupt for what has been published since this was last asked. */
  wantsInterrupt(): boolean;
  /** Asks the driver for a kick at its next chain. @returns whether there is one already */
  enableKicks(): boolean;
  /** What `progress` has of chains that were taken and not given back. */
  unfinished(chains: Iterable<Chain>): Pick<QueueProgress, 'unfinished' | 'unfinishedDescriptors'>;
}
