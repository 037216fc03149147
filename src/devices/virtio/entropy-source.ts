import type { RunningQueue, VirtioQueue } from './virtio-device.ts';

/** Random bytes from the host's cryptographic generator, off the machine thread. */
export interface EntropySource {
  /** Serves a virtio-rng request queue (virtio 1.3 §5.4) until stopped. @throws an error for the user */
  startQueue(queue: VirtioQueue, options: EntropyQueueOptions): RunningQueue;
}

export type EntropyQueueOptions = {
  readonly features: bigint;
  /** The maximum number of bytes per period; null for no limit. */
  readonly limit: EntropyLimit | null;
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};

export type EntropyLimit = { readonly bytes: number; readonly periodMs: number };
