import type { Cancel, Clock } from '../../../devices/device.ts';
import type { QueueCount, QueueCounters } from '../../../devices/virtio/queue-counters.ts';
import { pread, SystemError } from '../../native/libc.ts';

/** The kernel's counters of an interface, in the order of the files that a wire has open. */
export const TRAFFIC = ['bytes', 'packets', 'dropped'] as const;
export const DIRECTIONS_OF_TRAFFIC = ['toGuest', 'fromGuest'] as const;

/** The sampling interval while there is traffic, and otherwise: screens show rates over a second or more. */
const BUSY_NS = 200_000_000n;
const QUIET_NS = 1_000_000_000n;

const MAX_DIGITS = 24;

/** A queue that the kernel serves. */
export type CountedQueue = {
  readonly transmits: boolean;
  readonly counters: Pick<QueueCounters, 'add'>;
  /** Chains returned so far, modulo 2^16: traffic is divided among several queues accordingly. */
  readonly used: () => number;
};

type Entry = { readonly queue: CountedQueue; used: number };

/**
 * Counts what the kernel carries between a guest and an interface by the kernel's counters of the interface, since this
 * process does not see the frames.
 */
export class InterfaceTraffic {
  readonly #files: readonly number[];
  readonly #clock: Pick<Clock, 'now' | 'at'>;
  readonly #onGone: () => void;
  readonly #entries = new Map<CountedQueue, Entry>();
  #counts: readonly number[] = [];
  #timer: Cancel | null = null;

  /**
   * @param files open files of /sys/class/net/NAME/statistics: for each of `DIRECTIONS_OF_TRAFFIC` those of `TRAFFIC`
   * @param onGone the interface no longer exists
   */
  constructor(files: readonly number[], clock: Pick<Clock, 'now' | 'at'>, onGone: () => void) {
    this.#files = files;
    this.#clock = clock;
    this.#onGone = onGone;
  }

  /** Counts for a queue from now on. @returns a function that counts what has come since, and ends counting */
  count(queue: CountedQueue): Cancel {
    this.#sample();
    this.#entries.set(queue, { queue, used: queue.used() });
    this.#timer ??= this.#clock.at(this.#clock.now() + BUSY_NS, () => this.#tick());
    return () => {
      if (!this.#entries.has(queue)) return;
      this.#sample();
      this.#entries.delete(queue);
      if (this.#entries.size > 0) return;
      this.#timer?.();
      this.#timer = null;
    };
  }

  #tick(): void {
    const wait = this.#sample() ? BUSY_NS : QUIET_NS;
    this.#timer = this.#clock.at(this.#clock.now() + wait, () => this.#tick());
  }

  /** @returns whether there was traffic */
  #sample(): boolean {
    const before = this.#counts;
    const counts = this.#read();
    if (counts === null) return false;
    this.#counts = counts;
    // Traffic before the first queue was not the card's.
    if (this.#entries.size === 0) return false;
    const deltas = counts.map((count, index) => Math.max(0, count - (before[index] ?? count)));
    for (const [index] of DIRECTIONS_OF_TRAFFIC.entries())
      this.#divide(index === 1, deltas.slice(index * TRAFFIC.length, (index + 1) * TRAFFIC.length));
    return deltas.some(delta => delta > 0);
  }

  /** Divides one direction's traffic among its queues by the chains that each has returned. */
  #divide(transmits: boolean, [bytes, packets, dropped]: readonly number[]): void {
    const entries = [...this.#entries.values()].filter(({ queue }) => queue.transmits === transmits);
    const chains = entries.map(entry => {
      const used = entry.queue.used();
      const returned = (used - entry.used) & 0xffff;
      entry.used = used;
      return returned;
    });
    const all = chains.reduce((sum, each) => sum + each, 0);
    let [bytesLeft, packetsLeft] = [bytes!, packets!];
    for (const [index, { queue }] of entries.entries()) {
      const isLast = index === entries.length - 1;
      const share = all === 0 ? 0 : chains[index]! / all;
      const ownBytes = isLast ? bytesLeft : Math.floor(bytes! * share);
      const ownPackets = isLast ? packetsLeft : Math.floor(packets! * share);
      bytesLeft -= ownBytes;
      packetsLeft -= ownPackets;
      const add = (count: QueueCount, amount: number) => amount > 0 && queue.counters.add(count, amount);
      add('requests', ownPackets);
      add(transmits ? 'bytesFromGuest' : 'bytesToGuest', ownBytes);
      if (isLast) add('dropped', dropped!);
    }
  }

  #read(): number[] | null {
    try {
      return this.#files.map(numberIn);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#onGone();
      return null;
    }
  }
}

/** The number in an open file of sysfs. @throws SystemError if its object is gone */
function numberIn(file: number): number {
  const bytes = new Uint8Array(MAX_DIGITS);
  const length = pread(file, bytes, 0);
  return Number(new TextDecoder().decode(bytes.subarray(0, length)));
}
