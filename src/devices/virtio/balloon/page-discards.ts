import type { Cancel } from '../../device.ts';
import type { RunningQueue, VirtioQueue } from '../virtio-device.ts';

/** Returns pages of guest RAM to the host, off the machine thread. */
export interface PageDiscards {
  /**
   * Why pages stay with the machine regardless of the guest, to follow "its memory" in a sentence; null if they are
   * returned to the host.
   */
  readonly obstacle: string | null;
  /**
   * Whether discarded pages read as zero. If not, they may have an older content, which a guest expects only of pages
   * that it gave up.
   */
  readonly leavesZeros: boolean;
  /** Calls back when `obstacle` may have changed. */
  onChanged(hook: () => void): Cancel;
  /** The pages that the guest has given up, but that still wait for their neighbors. The queues must be stopped. */
  saveWaiting(): Uint8Array;
  /** Replaces those pages. @param saved empty if none wait @returns false if that was not saved by `saveWaiting` */
  loadWaiting(saved: Uint8Array): boolean;
  /** Serves a queue of a balloon (virtio 1.3 §5.5.6) until stopped. @throws an error for the user */
  startQueue(queue: VirtioQueue, options: BalloonQueueOptions): RunningQueue;
}

export type BalloonQueueOptions = {
  readonly features: bigint;
  /**
   * The queue contains numbers of pages that the guest gives up, or takes back; or free pages themselves, which the
   * guest keeps.
   */
  readonly role: 'inflate' | 'deflate' | 'report';
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};
