import type { CharBackend } from '../../../devices/backends/char.ts';
import type { Cancel, Clock } from '../../../devices/device.ts';
import { ByteQueue } from '../../../devices/legacy/byte-queue.ts';
import * as libc from '../../native/libc.ts';

/** Output that waits for a reader. */
const OUTPUT_MAX = 64 * 1024;
/** Input that the guest has not taken: beyond that, no more is read. */
const INPUT_WINDOW = 64 * 1024;
const READ_BYTES = 16 * 1024;
/** Between two looks whether somebody has opened a pseudoterminal: the kernel does not say. */
const PTY_LOOK_NS = 500_000_000n;

/** Watches fds, as a machine's loop does. */
export interface FdLoop extends Pick<Clock, 'at' | 'now'> {
  watchFd(fd: number, writable: boolean, onReady: () => void): void;
  unwatchFd(fd: number): void;
}

export type FdCharOptions = {
  /**
   * A non-blocking fd. `listener`: a socket that listens, of which one client at a time is served. `stream`: a connected socket, which is
   * gone when its other end is. `pty`: the master of a pseudoterminal, whose other end programs open and close.
   */
  readonly kind: 'listener' | 'stream' | 'pty';
  readonly fd: number;
  readonly label: string;
  readonly loop: FdLoop;
  readonly closeFd: (fd: number) => void;
};

/** Characters over a socket or a pseudoterminal. Nothing here waits: a reader that is stuck costs its device its output. */
export class FdChar implements CharBackend {
  readonly label: string;
  onInput: ((bytes: Uint8Array) => void) | null = null;
  onRoom: (() => void) | null = null;
  onConnected: ((connected: boolean) => void) | null = null;
  readonly #options: FdCharOptions;
  readonly #output = new ByteQueue(OUTPUT_MAX);
  /** What is read from and written to; null: nobody is there. */
  #peer: number | null = null;
  /** Input that the guest has not taken. */
  #waiting = 0;
  /** The device has found too little room. */
  #wasFull = false;
  #cancelLook: Cancel = () => {};
  #closed = false;

  constructor(options: FdCharOptions) {
    this.#options = options;
    this.label = options.label;
    if (options.kind === 'stream') this.#connect(options.fd);
    else if (options.kind === 'listener') options.loop.watchFd(options.fd, false, () => this.#accept());
    else this.#look();
  }

  get connected(): boolean {
    return this.#peer !== null;
  }

  get room(): number {
    if (this.#peer === null) return OUTPUT_MAX;
    const room = OUTPUT_MAX - this.#output.length;
    if (room === 0) this.#wasFull = true;
    return room;
  }

  write(bytes: Uint8Array): void {
    if (this.#peer === null) return;
    this.#output.push(bytes);
    this.#flush();
  }

  inputTaken(_count: number, waiting: number): void {
    this.#waiting = waiting;
    this.#watch();
  }

  close(): void {
    if (this.#closed) return;
    this.#disconnect();
    this.#closed = true;
    this.#cancelLook();
    const { kind, fd, loop, closeFd } = this.#options;
    if (kind === 'listener') loop.unwatchFd(fd);
    closeFd(fd);
  }

  #accept(): void {
    const { fd, loop } = this.#options;
    const client = libc.accept(fd);
    if (client === null) return;
    // Others wait until this one is gone.
    loop.unwatchFd(fd);
    this.#connect(client);
  }

  #connect(fd: number): void {
    this.#peer = fd;
    this.#watch();
    this.onConnected?.(true);
  }

  #disconnect(): void {
    const peer = this.#peer;
    if (peer === null) return;
    const { kind, fd, loop } = this.#options;
    loop.unwatchFd(peer);
    this.#peer = null;
    this.#output.clear();
    if (kind === 'listener') {
      libc.close(peer);
      if (!this.#closed) loop.watchFd(fd, false, () => this.#accept());
    } else if (kind === 'pty') this.#lookLater();
    this.onConnected?.(false);
    this.#madeRoom();
  }

  /** A pseudoterminal has a peer once reading from it does not fail any more. */
  #look(): void {
    if (this.#closed) return;
    const { fd } = this.#options;
    const bytes = this.#read(fd);
    if (bytes === 'gone') {
      this.#lookLater();
      return;
    }
    this.#connect(fd);
    if (bytes !== null) this.#take(bytes);
  }

  #lookLater(): void {
    const { loop } = this.#options;
    this.#cancelLook();
    this.#cancelLook = loop.at(loop.now() + PTY_LOOK_NS, () => this.#look());
  }

  /** Reads while the guest takes it, and writes while there is something to. */
  #watch(): void {
    const peer = this.#peer;
    if (peer === null) return;
    const { loop } = this.#options;
    const reads = this.#waiting < INPUT_WINDOW;
    const writes = this.#output.length > 0;
    // One that is not read is not watched: it would be ready for as long as that lasts.
    if (reads || writes) loop.watchFd(peer, writes, () => this.#ready());
    else loop.unwatchFd(peer);
  }

  #ready(): void {
    this.#flush();
    const peer = this.#peer;
    if (peer === null || this.#waiting >= INPUT_WINDOW) return;
    const bytes = this.#read(peer);
    if (bytes === 'gone') this.#disconnect();
    else if (bytes !== null) this.#take(bytes);
  }

  #take(bytes: Uint8Array): void {
    this.#waiting += bytes.length;
    this.onInput?.(bytes);
    this.#watch();
  }

  #flush(): void {
    while (this.#peer !== null && this.#output.length > 0) {
      const bytes = this.#output.toBytes();
      const written = this.#write(this.#peer, bytes);
      if (written === null) {
        this.#disconnect();
        return;
      }
      this.#output.take(written);
      if (written < bytes.length) break;
    }
    this.#watch();
    this.#madeRoom();
  }

  #madeRoom(): void {
    if (!this.#wasFull || this.#output.length > OUTPUT_MAX / 2) return;
    this.#wasFull = false;
    this.onRoom?.();
  }

  /** Null: there is nothing now. */
  #read(fd: number): Uint8Array | null | 'gone' {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      const count = libc.read(fd, buffer);
      return count === 0 ? 'gone' : buffer.subarray(0, count);
    } catch (error) {
      return isLater(error) ? null : 'gone';
    }
  }

  /** Null: the other end is gone. */
  #write(fd: number, bytes: Uint8Array): number | null {
    try {
      return libc.write(fd, bytes);
    } catch (error) {
      return isLater(error) ? 0 : null;
    }
  }
}

function isLater(error: unknown): boolean {
  return error instanceof libc.SystemError && (error.code === 'EAGAIN' || error.code === 'EINTR');
}
