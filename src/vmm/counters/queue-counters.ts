import type { QueueCounters } from '../../devices/virtio/queue-counters.ts';
import { addCount, QUEUE } from './counters.ts';

/** Histogram words of a block: one for each power of two of nanoseconds. */
const BUCKETS = 32;

/** Counts one virtqueue in the VM's shared block, for a queue that is served on the machine thread. */
export class SharedQueueCounters implements QueueCounters {
  readonly slot: number;
  readonly #words: BigUint64Array;
  readonly #base: number;
  #inFlight = 0;
  #maxInFlight: number;

  readonly release: () => void;

  /** @param base word index of the queue's block */
  constructor(words: BigUint64Array, base: number, slot: number, release: () => void) {
    this.release = release;
    this.#words = words;
    this.#base = base;
    this.slot = slot;
    this.#maxInFlight = Number(words[base + QUEUE.maxInFlight]);
  }

  kicked(times: number): void {
    this.#add(QUEUE.kicks, times);
  }

  kickSuppressed(): void {
    this.#add(QUEUE.kicksSuppressed, 1);
  }

  interrupted(): void {
    this.#add(QUEUE.interrupts, 1);
  }

  interruptSuppressed(): void {
    this.#add(QUEUE.interruptsSuppressed, 1);
  }

  taken(): void {
    this.#add(QUEUE.requests, 1);
    this.#setInFlight(this.#inFlight + 1);
  }

  returned(ns: number, bytesToGuest: number, bytesFromGuest: number, failed: boolean): void {
    this.#setInFlight(this.#inFlight - 1);
    this.#add(QUEUE.bytesToGuest, bytesToGuest);
    this.#add(QUEUE.bytesFromGuest, bytesFromGuest);
    if (failed) this.#add(QUEUE.errors, 1);
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log2(Math.max(1, ns))));
    this.#add(QUEUE.latency + bucket, 1);
    this.#add(QUEUE.latencyNs, ns);
  }

  batch(): void {
    this.#add(QUEUE.batches, 1);
  }

  #setInFlight(count: number): void {
    this.#inFlight = count;
    this.#words[this.#base + QUEUE.inFlight] = BigInt(count);
    if (count <= this.#maxInFlight) return;
    this.#maxInFlight = count;
    this.#words[this.#base + QUEUE.maxInFlight] = BigInt(count);
  }

  #add(word: number, amount: number): void {
    addCount(this.#words, this.#base + word, amount);
  }
}
