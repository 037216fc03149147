import type { Cancel, EventLoop } from '../../../devices/device.ts';
import type { RunningQueue, VirtioQueue } from '../../../devices/virtio/virtio-device.ts';
import { eventfd, signalEventfd } from '../../native/libc.ts';
import { NO_COUNTERS } from '../../native/queue-threads.ts';
import type { ResourceOwner } from '../../native/resource-owner.ts';
import type { OwnMemory, PortMemory } from '../port-memory.ts';
import { type SEND_HEADER_BYTES, SendRing } from './send-ring.ts';

/** Frames are published to the thread after this many, even if more follow. */
const PUBLISHED_FRAMES = 16;
/** How long `close` waits for the thread. */
const CLOSE_MS = 10;

export type FrameSenderParts = {
  readonly owner: ResourceOwner;
  readonly events: EventLoop;
  readonly memory: PortMemory;
  /** Starts the thread. @throws if it cannot */
  readonly start: (queue: VirtioQueue, own: OwnMemory, onBroken: () => void) => RunningQueue;
  /** The bytes of the header in front of the wire's frames. */
  readonly headerBytes: 0 | typeof SEND_HEADER_BYTES;
  /** Writes a frame, the first `length` bytes, to the wire. @returns false if it takes no more now */
  readonly write: (frame: Uint8Array, length: number) => boolean;
  /** There is room again, after `put` had found none. */
  readonly onRoom: () => void;
};

/**
 * Sends the frames of a card with a TypeScript model by a queue thread, while the machine thread goes on with the
 * guest. Waking the thread takes longer than sending one frame, so single frames are sent immediately; the thread
 * starts the first time there are several.
 */
export class FrameSender {
  readonly #parts: FrameSenderParts;
  readonly #own: OwnMemory;
  readonly #ring: SendRing;
  readonly #kickFd: number;
  readonly #callFd: number;
  readonly #unwatch: Cancel;
  #running: RunningQueue | null = null;
  /** Its thread could not be started, or has died. */
  #hasFailed = false;
  #awaitsRoom = false;

  constructor(parts: FrameSenderParts) {
    const { owner, events, memory } = parts;
    this.#parts = parts;
    this.#own = memory.take();
    this.#ring = new SendRing(this.#own.buffer, parts.headerBytes);
    this.#kickFd = owner.ownFd(eventfd());
    this.#callFd = owner.ownFd(eventfd());
    this.#unwatch = events.watch(this.#callFd, () => this.#returned());
  }

  /** Whether the caller should send frames directly instead. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Whether all frames have been sent. */
  get isIdle(): boolean {
    return this.#ring.staged === 0 && this.#ring.isIdle;
  }

  /**
   * Takes a frame, which the next `flush` sends at the latest.
   * @returns false if there is no room; `onRoom` is called once there is
   */
  put(frame: Uint8Array): boolean {
    const ring = this.#ring;
    if (ring.staged >= PUBLISHED_FRAMES) this.#publish();
    if (ring.put(frame)) return true;
    this.#publish();
    if (!this.#hasFailed && !ring.awaitRoom()) {
      this.#awaitsRoom = true;
      return false;
    }
    ring.awaitNothing();
    return ring.put(frame);
  }

  flush(): void {
    const { staged } = this.#ring;
    if (staged === 0) return;
    if (staged > 1 || !this.#ring.isAsleep || !this.#ring.isIdle) this.#publish();
    else this.#sendAtOnce();
  }

  /** Ends the thread, and sends what is left as far as the wire takes it now. */
  close(): void {
    const { owner, memory } = this.#parts;
    this.#unwatch();
    if (this.#end()) memory.giveBack(this.#own);
    owner.closeFd(this.#kickFd);
    owner.closeFd(this.#callFd);
  }

  #sendAtOnce(): void {
    if (this.#parts.write(this.#ring.firstStaged, this.#ring.firstLength)) this.#ring.dropStaged();
    else this.#publish();
  }

  #publish(): void {
    if (this.#running === null && !this.#start()) {
      this.#sendLeft(false);
      return;
    }
    if (this.#ring.publish()) signalEventfd(this.#kickFd);
  }

  #start(): boolean {
    if (this.#hasFailed) return false;
    const queue = {
      ...{ index: 0, ...this.#ring.place, kickFd: this.#kickFd, callFd: this.#callFd },
      ...{ progress: { lastAvail: 0, usedIndex: 0 }, counters: NO_COUNTERS },
    };
    try {
      this.#running = this.#parts.start(queue, this.#own, () => this.#broken());
    } catch {
      // The thread limit may be reached: frames are then sent one by one.
      this.#hasFailed = true;
    }
    return this.#running !== null;
  }

  #returned(): void {
    if (!this.#awaitsRoom) return;
    this.#awaitsRoom = false;
    this.#ring.awaitNothing();
    this.#parts.onRoom();
  }

  #broken(): void {
    this.#hasFailed = true;
    this.#end();
    this.#returned();
  }

  /** @returns whether the memory is no longer in use */
  #end(): boolean {
    const running = this.#running;
    this.#running = null;
    if (running !== null) {
      running.requestStop();
      if (running.stop(CLOSE_MS) === null && running.abandon() === null) return false;
    }
    this.#sendLeft(true);
    return true;
  }

  #sendLeft(all: boolean): void {
    for (const frame of this.#ring.takeBack(all)) if (!this.#parts.write(frame, frame.length)) return;
  }
}
