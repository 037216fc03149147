import type { Cancel } from '../../device.ts';
import type { RunningQueue, VirtioQueue } from '../virtio-device.ts';

/** Gives pages of guest RAM back to the host, off the machine thread. */
export interface PageDiscards {
  /** Why pages stay with the machine whatever its guest does, after "its memory"; null: they go back to the host. */
  readonly obstacle: string | null;
  /** Pages that are discarded read as zero. Else they may have an older content, which a guest expects of no page but one it gave up. */
  readonly leavesZeros: boolean;
  /** Calls back when `obstacle` may have changed. */
  onChanged(hook: () => void): Cancel;
  /** Serves a queue of a balloon (virtio 1.3 §5.5.6) until it is stopped. @throws an error for the user */
  startQueue(queue: VirtioQueue, options: BalloonQueueOptions): RunningQueue;
}

export type BalloonQueueOptions = {
  readonly features: bigint;
  /** The queue has numbers of pages that the guest gives up, or takes back; or free pages themselves, which stay the guest's. */
  readonly role: 'inflate' | 'deflate' | 'report';
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};
