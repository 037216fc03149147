import { GuestMemoryError } from '../guest-memory.ts';
import type { MachineServices } from '../machine-services.ts';
import { FEATURE } from './features.ts';
import { type Chain, RingError } from './ring/chain.ts';
import { PackedRing } from './ring/packed-ring.ts';
import type { Ring } from './ring/ring.ts';
import { SplitRing } from './ring/split-ring.ts';
import type { QueueProgress, RunningQueue, VirtioDriver, VirtioQueue } from './virtio-device.ts';

export type ModelQueueServices = Pick<MachineServices, 'memory' | 'events' | 'eventFds'>;

/**
 * A virtqueue that a device model serves itself, on the machine thread: a control queue, or one with little traffic.
 * The driver's input is checked; a driver that breaks the rules ends the queue, and with it the device.
 */
export class ModelQueue implements RunningQueue {
  readonly #queue: VirtioQueue;
  readonly #driver: VirtioDriver;
  readonly #services: ModelQueueServices;
  readonly #ring: Ring;
  readonly #work: (queue: ModelQueue) => void;
  readonly #unwatch: () => void;
  /** Chains that were taken, and not returned. */
  readonly #taken = new Set<Chain>();
  /** Chains from before the queue was stopped, to be taken first. */
  #retaken: Chain[] = [];
  /** Chains that may be taken in one batch. */
  #budget = 0;
  /** Signals of the kick eventfd that did not come from the driver. */
  #ownSignals = 0;
  /** Its position when it was stopped, or found to be broken. */
  #end: QueueProgress | null = null;

  /**
   * @param work takes chains with `take`, as many as it can use now: called for each kick and once at the start, never
   * from within the constructor
   */
  constructor(
    queue: VirtioQueue,
    driver: VirtioDriver,
    services: ModelQueueServices,
    work: (queue: ModelQueue) => void,
  ) {
    const { memory, events } = services;
    this.#queue = queue;
    this.#driver = driver;
    this.#services = services;
    this.#work = work;
    const RingOf = driver.features & FEATURE.ringPacked ? PackedRing : SplitRing;
    this.#ring = new RingOf(memory, queue, driver.features);
    this.#guard(() => {
      this.#retaken = this.#ring.retake(queue.progress);
      for (const chain of this.#retaken) this.#taken.add(chain);
    });
    this.#unwatch = events.watch(queue.kickFd, signals => {
      queue.counters.add('kicks', Math.max(0, signals - this.#ownSignals));
      this.#ownSignals = 0;
      this.work();
    });
    this.workSoon();
  }

  /** Makes the model take chains, after it has left some in the ring. What it returns is published at the end. */
  work(): void {
    if (this.#end !== null) return;
    this.#budget = this.#queue.size;
    const before = this.#budget;
    this.#guard(() => {
      this.#work(this);
      this.#publish();
    });
    if (before > this.#budget) this.#queue.counters.add('batches', 1);
  }

  /** The next chain; null if there is none now: the queue's work continues at the next kick. */
  take(): Chain | null {
    if (this.#end !== null) return null;
    const retaken = this.#retaken.shift();
    if (retaken !== undefined) return retaken;
    if (this.#budget === 0) {
      this.workSoon();
      return null;
    }
    const chain = this.#guard(
      () => this.#ring.take() ?? (this.#ring.enableKicks() ? this.#ring.take() : null),
    );
    if (chain === null) return null;
    this.#budget--;
    this.#taken.add(chain);
    this.#queue.counters.add('requests', 1);
    return chain;
  }

  /** A copy of at most `length` bytes that the driver wrote, from byte `at` on. */
  read(chain: Chain, at: number, length: number): Uint8Array {
    const bytes = this.#guard(() => chain.read(at, length)) ?? new Uint8Array();
    this.#queue.counters.add('bytesFromGuest', bytes.length);
    return bytes;
  }

  /** Writes from byte `at` of the chain on, as much as fits. @returns the number of bytes */
  write(chain: Chain, at: number, bytes: Uint8Array): number {
    const count = this.#guard(() => chain.write(at, bytes)) ?? 0;
    this.#queue.counters.add('bytesToGuest', count);
    return count;
  }

  /** Returns a chain in which the model wrote `written` bytes. Outside of the queue's work, `publish` must follow. */
  giveBack(chain: Chain, written: number): void {
    this.#guard(() => this.#ring.giveBack(chain, written));
    this.#taken.delete(chain);
  }

  /** Publishes the returned chains, and interrupts the driver if it has asked for that. */
  publish(): void {
    this.#guard(() => this.#publish());
  }

  /**
   * The driver violated the device's rules: ends the queue. @param problem completes a sentence that begins with "the
   * driver"
   */
  broken(problem: string): void {
    this.#guard(() => {
      throw new RingError(problem);
    });
  }

  /** Nothing of it runs between two events. */
  requestStop(): void {
    this.#stop();
  }

  stop(): QueueProgress {
    return this.#stop();
  }

  abandon(): QueueProgress {
    return this.#stop();
  }

  /** Makes the model take chains again soon, after other events. */
  workSoon(): void {
    this.#ownSignals++;
    this.#services.eventFds.signal(this.#queue.kickFd);
  }

  #stop(): QueueProgress {
    if (this.#end === null) {
      this.publish();
      this.#end ??= this.#progress;
    }
    this.#unwatch();
    return this.#end;
  }

  get #progress(): QueueProgress {
    return { ...this.#ring.progress, ...this.#ring.unfinished(this.#taken) };
  }

  #publish(): void {
    if (!this.#ring.publish()) return;
    const wanted = this.#ring.wantsInterrupt();
    this.#queue.counters.add(wanted ? 'interrupts' : 'interruptsSuppressed', 1);
    if (wanted) this.#services.eventFds.signal(this.#queue.callFd);
  }

  /** @returns null if the queue has ended, or ends in `action` */
  #guard<T>(action: () => T): T | null {
    if (this.#end !== null) return null;
    try {
      return action();
    } catch (error) {
      if (!(error instanceof RingError || error instanceof GuestMemoryError)) throw error;
      this.#end = this.#progress;
      const problem = error instanceof RingError ? error.message : `has a queue in what is no longer memory`;
      this.#driver.broken(`the driver ${problem}`);
      return null;
    }
  }
}
