import type { QueueCounters } from '../devices/virtio/queue-counters.ts';
import { QUEUE } from './counters.ts';

/** Histogram words of a block: one for each power of two of nanoseconds. */
const BUCKETS = 32;

/** Counts one virtqueue in the VM's shared block, for a queue that is served on the machine thread. */
export class SharedQueueCounters implements QueueCounters {
  readonly slot: number;
  readonly #words: BigUint64Array;
  readonly #base: number;

  /** @param base word index of the queue's block */
  constructor(words: BigUint64Array, base: number, slot: number) {
    this.#words = words;
    this.#base = base;
    this.slot = slot;
  }

  kicked(): void {
    this.#add(QUEUE.kicks, 1n);
  }

  interrupted(): void {
    this.#add(QUEUE.interrupts, 1n);
  }

  interruptSuppressed(): void {
    this.#add(QUEUE.interruptsSuppressed, 1n);
  }

  taken(): void {
    this.#add(QUEUE.requests, 1n);
    this.#add(QUEUE.inFlight, 1n);
  }

  returned(ns: number, bytesToGuest: number, bytesFromGuest: number, failed: boolean): void {
    this.#add(QUEUE.inFlight, -1n);
    this.#add(QUEUE.bytesToGuest, BigInt(bytesToGuest));
    this.#add(QUEUE.bytesFromGuest, BigInt(bytesFromGuest));
    if (failed) this.#add(QUEUE.errors, 1n);
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log2(Math.max(1, ns))));
    this.#add(QUEUE.latency + bucket, 1n);
  }

  batch(): void {
    this.#add(QUEUE.batches, 1n);
  }

  #add(word: number, amount: bigint): void {
    this.#words[this.#base + word]! += amount;
  }
}
