import { constants } from 'node:os';
import type { FramePort } from '../../../devices/backends/net.ts';
import { tryRead, tryWrite } from '../../native/libc.ts';
import type { Wire } from './wire.ts';

/** Calls back for as long as an fd is readable, or also writable. */
export type FdEvents = {
  watchFd(fd: number, writable: boolean, onReady: () => void): void;
  unwatchFd(fd: number): void;
};

/** struct virtio_net_hdr_v1 (virtio 1.3 §5.1.6). */
const HEADER_BYTES = 12;
/** A packet of IP with 65,535 bytes, Ethernet's header and a VLAN's tag. */
const MAX_FRAME = 65_535 + 18;
/** Frames before others have the thread. */
const BATCH = 64;

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
  #link = true;
  #isReceiving = false;
  /** A frame for which the card had no room. */
  #kept: Uint8Array | null = null;
  /** The other end has taken no frame lately. */
  #isFull = false;

  /** @param hungUp called when nobody is at the other end any more */
  constructor(wire: Wire, events: FdEvents, hungUp: () => void) {
    this.#fd = wire.fds[0] ?? null;
    this.#headerBytes = wire.header === 'virtio' ? HEADER_BYTES : 0;
    this.#events = events;
    this.#hungUp = hungUp;
    this.#received = new Uint8Array(this.#headerBytes + MAX_FRAME);
    // Without offloads, a header is all zeros.
    this.#sent = new Uint8Array(this.#headerBytes + MAX_FRAME);
  }

  send(frame: Uint8Array): boolean {
    if (this.#fd === null || !this.#link || !this.connected || frame.length > MAX_FRAME) return true;
    this.#sent.set(frame, this.#headerBytes);
    const result = tryWrite(this.#fd, this.#sent.subarray(0, this.#headerBytes + frame.length));
    if (result === -constants.errno.EPIPE) this.#hangUp();
    if (result !== -constants.errno.EAGAIN) return true;
    this.#isFull = true;
    this.#watch();
    return false;
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

  close(): void {
    this.#isReceiving = false;
    this.#isFull = false;
    this.#kept = null;
    this.#watch();
  }

  #watch(): void {
    if (this.#fd === null) return;
    const reads = this.#isReceiving && this.#kept === null && this.connected;
    if (reads || this.#isFull) this.#events.watchFd(this.#fd, this.#isFull, () => this.#ready(reads));
    else this.#events.unwatchFd(this.#fd);
  }

  #ready(reads: boolean): void {
    if (this.#isFull) {
      this.#isFull = false;
      this.onReady?.();
      this.#watch();
    }
    if (reads) this.#receive(this.#fd!);
  }

  #receive(fd: number): void {
    for (let count = 0; count < BATCH && this.#isReceiving && this.#kept === null; count++) {
      const length = tryRead(fd, this.#received);
      if (length === 0 || length === -constants.errno.ECONNRESET) this.#hangUp();
      if (length <= 0) return;
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
}
