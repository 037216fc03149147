import type { CharBackend } from '../../../devices/backends/char.ts';
import type { Cancel, Clock } from '../../../devices/device.ts';
import { ByteQueue } from '../../../devices/legacy/byte-queue.ts';
import * as libc from '../../native/libc.ts';

/** Limit of output that waits for a reader. */
const OUTPUT_MAX = 64 * 1024;
/** Limit of input that the guest has not taken; no more is read beyond it. */
const INPUT_WINDOW = 64 * 1024;
const READ_BYTES = 16 * 1024;
/** Interval for checking whether a program has opened a pseudoterminal: the kernel does not report it. */
const PTY_LOOK_NS = 500_000_000n;

/** Watches fds; a machine's loop is one. */
export interface FdLoop extends Pick<Clock, 'at' | 'now'> {
  watchFd(fd: number, writable: boolean, onReady: () => void): void;
  unwatchFd(fd: number): void;
}

export type FdCharOptions = {
  /**
   * A non-blocking fd. `listener`: a listening socket, which serves one client at a time. `stream`: a connected socket,
   * which is gone once its other end is. `pty`: the master of a pseudoterminal, whose other end programs open and
   * close.
   */
  readonly kind: 'listener' | 'stream' | 'pty';
  readonly fd: number;
  readonly label: string;
  readonly loop: FdLoop;
  readonly closeFd: (fd: number) => void;
};

/** Characters over a socket or a pseudoterminal. Nothing here blocks: a stuck reader costs the device its output. */
export class FdChar implements CharBackend {
  readonly label: string;
  onInput: ((bytes: Uint8Array) => void) | null = null;
  onRoom: (() => void) | null = null;
  onConnected: ((connected: boolean) => void) | null = null;
  readonly #options: FdCharOptions;
  readonly #output = new ByteQueue(OUTPUT_MAX);
  /** The fd that is read and written; null if there is no peer. */
  #peer: number | null = null;
  /** Input that the guest has not taken. */
  #waiting = 0;
  /** The device has run out of room. */
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
    // Other clients wait until this one is gone.
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

  /** A pseudoterminal has a peer once reads from it no longer fail. */
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

  /** Reads while the guest takes input, and writes while there is output. */
  #watch(): void {
    const peer = this.#peer;
    if (peer === null) return;
    const { loop } = this.#options;
    const reads = this.#waiting < INPUT_WINDOW;
    const writes = this.#output.length > 0;
    // Do not watch an fd that is not read: it would stay ready the whole time.
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

  /** Null if there is nothing now. */
  #read(fd: number): Uint8Array | null | 'gone' {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      const count = libc.read(fd, buffer);
      return count === 0 ? 'gone' : buffer.subarray(0, count);
    } catch (error) {
      return isLater(error) ? null : 'gone';
    }
  }

  /** Null if the other end is gone. */
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
