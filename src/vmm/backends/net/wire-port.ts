import { constants } from 'node:os';
import type { FramePort } from '../../../devices/backends/net.ts';
import { DIRECTIONS, type NetLimits } from '../../../devices/backends/net-limits.ts';
import type { Cancel, Clock } from '../../../devices/device.ts';
import { tryRead, tryWrite } from '../../native/libc.ts';
import type { FrameSender } from './frame-sender.ts';
import { PortRate } from './port-rate.ts';
import type { Wire } from './wire.ts';

/** Calls back while an fd is readable, or also writable. */
export type FdEvents = {
  watchFd(fd: number, writable: boolean, onReady: () => void): void;
  unwatchFd(fd: number): void;
};

/** struct virtio_net_hdr_v1 (virtio 1.3 §5.1.6). */
const HEADER_BYTES = 12;
/** An IP packet of 65,535 bytes, the Ethernet header and a VLAN tag. */
const MAX_FRAME = 65_535 + 18;
/** Frames handled before the thread turns to other work. */
const BATCH = 64;

/** A direction's limit, and the end of a wait for it. */
type Flow = { rate: PortRate | null; cancelWait: Cancel | null };

/** A wire on the machine thread, frame by frame. It receives nothing before `resume`. */
export class WirePort implements FramePort {
  onFrame: ((frame: Uint8Array) => boolean) | null = null;
  onReady: (() => void) | null = null;
  connected = true;
  readonly #fd: number | null;
  readonly #headerBytes: number;
  readonly #events: FdEvents;
  readonly #hungUp: () => void;
  readonly #received: Uint8Array;
  readonly #sent: Uint8Array;
  #sender: FrameSender | null = null;
  #link = true;
  #isReceiving = false;
  /** A frame for which the card had no room. */
  #kept: Uint8Array | null = null;
  /** The other end did not take the last frame. */
  #isFull = false;
  readonly #clock: Pick<Clock, 'now' | 'at'>;
  readonly #receive: Flow = { rate: null, cancelWait: null };
  readonly #transmit: Flow = { rate: null, cancelWait: null };

  /** @param hungUp called once the other end is closed */
  constructor(wire: Wire, events: FdEvents, clock: Pick<Clock, 'now' | 'at'>, hungUp: () => void) {
    this.#clock = clock;
    this.#fd = wire.fds[0] ?? null;
    this.#headerBytes = wire.header === 'virtio' ? HEADER_BYTES : 0;
    this.#events = events;
    this.#hungUp = hungUp;
    this.#received = new Uint8Array(this.#headerBytes + MAX_FRAME);
    // Without offloads, a header is all zeros.
    this.#sent = new Uint8Array(this.#headerBytes + MAX_FRAME);
  }

  /** Lets a thread send frames when there are several. Without it, each is sent immediately. */
  sendBy(sender: FrameSender): void {
    this.#sender = sender;
  }

  send(frame: Uint8Array): boolean {
    if (this.#fd === null || !this.#link || !this.connected || frame.length > MAX_FRAME) return true;
    if (this.#isFull || this.#mustWait(this.#transmit)) return false;
    const sender = this.#sender;
    // With a limit, one by one, but none before those that the thread has.
    if (sender !== null && !sender.hasFailed && (this.#transmit.rate === null || !sender.isIdle)) {
      return sender.put(frame);
    }
    this.#sent.set(frame, this.#headerBytes);
    if (this.write(this.#sent, this.#headerBytes + frame.length)) {
      this.#take(this.#transmit, frame.length);
      return true;
    }
    this.#isFull = true;
    this.#watch();
    return false;
  }

  flush(): void {
    this.#sender?.flush();
  }

  /** Called when the thread takes frames again. */
  roomAgain(): void {
    this.onReady?.();
  }

  /**
   * Sends a frame immediately, the first `length` bytes; it has a header in front if the wire's frames do.
   * @returns false if the other end takes no more now
   */
  write(bytes: Uint8Array, length: number): boolean {
    const result = tryWrite(this.#fd!, bytes, length);
    if (result === -constants.errno.EPIPE) this.#hangUp();
    return result !== -constants.errno.EAGAIN;
  }

  resume(): void {
    if (this.#isReceiving) return;
    this.#isReceiving = true;
    this.#deliverKept();
    this.#watch();
  }

  pause(): void {
    this.#isReceiving = false;
    this.#watch();
  }

  setLink(up: boolean): void {
    this.#link = up;
  }

  setLimits(limits: NetLimits): void {
    const now = Number(this.#clock.now());
    for (const direction of DIRECTIONS) {
      const rate = limits[direction];
      const flow = direction === 'receive' ? this.#receive : this.#transmit;
      flow.rate = rate === undefined ? null : new PortRate(rate, now);
      if (flow.cancelWait === null) continue;
      flow.cancelWait();
      this.#waited(flow);
    }
  }

  close(): void {
    this.#isReceiving = false;
    this.#isFull = false;
    this.#kept = null;
    this.#receive.cancelWait?.();
    this.#transmit.cancelWait?.();
    this.#watch();
    // A card and its network both close it.
    this.#sender?.close();
    this.#sender = null;
  }

  #watch(): void {
    if (this.#fd === null) return;
    const waits = this.#receive.cancelWait !== null;
    const reads = this.#isReceiving && this.#kept === null && this.connected && !waits;
    if (reads || this.#isFull) this.#events.watchFd(this.#fd, this.#isFull, () => this.#ready(reads));
    else this.#events.unwatchFd(this.#fd);
  }

  #ready(reads: boolean): void {
    if (this.#isFull) {
      this.#isFull = false;
      this.onReady?.();
      this.#watch();
    }
    if (reads) this.#read(this.#fd!);
  }

  #read(fd: number): void {
    for (let count = 0; count < BATCH && this.#isReceiving && this.#kept === null; count++) {
      if (this.#mustWait(this.#receive)) {
        this.#watch();
        return;
      }
      const length = tryRead(fd, this.#received);
      if (length === 0 || length === -constants.errno.ECONNRESET) this.#hangUp();
      if (length <= 0) return;
      this.#take(this.#receive, length - this.#headerBytes);
      if (this.#link) this.#deliver(this.#received.subarray(this.#headerBytes, length));
    }
  }

  #deliver(frame: Uint8Array): void {
    if (this.onFrame === null || this.onFrame(frame)) return;
    this.#kept = frame.slice();
    this.#isReceiving = false;
    this.#watch();
  }

  #deliverKept(): void {
    const kept = this.#kept;
    this.#kept = null;
    if (kept !== null) this.#deliver(kept);
  }

  #hangUp(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#isFull = false;
    this.#watch();
    this.#hungUp();
  }

  /** Whether the limit lets nothing pass now. A timer ends the wait. */
  #mustWait(flow: Flow): boolean {
    if (flow.cancelWait !== null) return true;
    const { rate } = flow;
    if (rate === null) return false;
    const now = this.#clock.now();
    const wait = Math.ceil(rate.wait(Number(now)));
    if (wait === 0) return false;
    flow.cancelWait = this.#clock.at(now + BigInt(wait), () => this.#waited(flow));
    return true;
  }

  #take({ rate }: Flow, bytes: number): void {
    rate?.take(bytes, Number(this.#clock.now()));
  }

  #waited(flow: Flow): void {
    flow.cancelWait = null;
    if (flow === this.#receive) this.#watch();
    else if (!this.#isFull) this.onReady?.();
  }
}
