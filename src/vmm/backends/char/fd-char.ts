import type { CharBackend } from '../../../devices/backends/char.ts';
import type { Cancel, Clock, DeviceState } from '../../../devices/device.ts';
import { ByteQueue } from '../../../devices/legacy/byte-queue.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../../devices/state.ts';
import * as libc from '../../native/libc.ts';

/** Limit of output that waits for a reader. */
const OUTPUT_MAX = 64 * 1024;
/** Limit of input that the guest has not taken; no more is read beyond it. */
const INPUT_WINDOW = 64 * 1024;
const READ_BYTES = 16 * 1024;
/** Limit of input that is read ahead of a guest, so that its state has it: more than a Unix socket holds by default. */
const AHEAD_MAX = 256 * 1024;
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
  /** Whether it is held at first. Default: not. */
  readonly isHeld?: boolean;
  /** Warns the user about something that does not stop the device, in a clause about it. Default: no warning. */
  readonly warn?: (text: string) => void;
};

/** The other end: none, the back end's own fd, or a client of a listening socket. */
export type Connection = 'none' | 'own' | { readonly client: number };

/**
 * Characters over a socket or a pseudoterminal. Nothing here blocks: a stuck reader costs the device its output. While
 * it is held, it neither reads nor writes: its state and its connection can be saved, and another process may have them.
 */
export class FdChar implements CharBackend {
  readonly label: string;
  onInput: ((bytes: Uint8Array) => void) | null = null;
  onRoom: (() => void) | null = null;
  onConnected: ((connected: boolean) => void) | null = null;
  readonly #options: FdCharOptions;
  readonly #output = new ByteQueue(OUTPUT_MAX);
  /** Output that was dropped since the other end took some. */
  #dropped = 0;
  /** Input that was read to be saved, and that the device has not got. */
  readonly #ahead = new ByteQueue(AHEAD_MAX + READ_BYTES);
  #cancelPass: Cancel = () => {};
  /** The fd that is read and written; null if there is no peer. */
  #peer: number | null = null;
  /** Input that the guest has not taken. */
  #waiting = 0;
  /** The device has run out of room. */
  #wasFull = false;
  /** The other end takes no more output for now. */
  #isStuck = false;
  /** For what its fd is watched. */
  #watched: 'nothing' | 'reading' | 'writing' = 'nothing';
  #cancelLook: Cancel = () => {};
  #isHeld: boolean;
  #closed = false;

  constructor(options: FdCharOptions) {
    const { kind, fd, label, isHeld = false } = options;
    this.#options = options;
    this.label = label;
    this.#isHeld = isHeld;
    if (kind === 'stream') this.#peer = fd;
    if (!isHeld) this.#begin();
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
    // Output from before it was restored goes to the next reader, with what follows.
    if (this.#peer === null && this.#output.length === 0) return;
    const room = OUTPUT_MAX - this.#output.length;
    if (!this.#output.push(bytes)) this.#drop(bytes.length - room);
    // A device that prints byte by byte must not try again each time.
    if (!this.#isHeld && !this.#isStuck) this.#flush();
  }

  inputTaken(_count: number, waiting: number): void {
    this.#waiting = waiting;
    if (this.#ahead.length > 0) this.#passSoon();
    else this.#watch();
  }

  /** From now on, until `release`, it does not touch its fds. */
  hold(): void {
    this.#isHeld = true;
    this.#cancelLook();
    this.#cancelPass();
    if (this.#peer !== null) this.#watchFor('nothing');
    else this.#options.loop.unwatchFd(this.#options.fd);
  }

  release(): void {
    this.#isHeld = false;
    this.#begin();
  }

  /**
   * While it is held: takes what the other end has sent so far, at most `AHEAD_MAX` bytes, so that it is a part of the
   * state. The device gets it before anything else.
   */
  readAhead(): void {
    while (this.#peer !== null && this.#ahead.length < AHEAD_MAX) {
      const bytes = this.#read(this.#peer);
      // That it is gone is found again by whoever has its connection.
      if (bytes === null || bytes === 'gone') return;
      this.#ahead.push(bytes);
    }
  }

  /**
   * While it is held: the output that its reader has not taken, the amount of input that the guest has not, and the
   * input that was read ahead.
   */
  save(): DeviceState {
    return { output: this.#output.toBytes(), waiting: this.#waiting, input: this.#ahead.toBytes() };
  }

  /** While it is held. @throws DeviceStateError */
  load(state: DeviceState): void {
    const output = bytesOf(state, 'output');
    const waiting = numberOf(state, 'waiting');
    // Versions before had none.
    const input = 'input' in state ? bytesOf(state, 'input') : new Uint8Array(0);
    if (output.length > OUTPUT_MAX) throw new DeviceStateError('output', `output of at most ${OUTPUT_MAX}`);
    if (input.length > AHEAD_MAX + READ_BYTES)
      throw new DeviceStateError('input', `input of at most ${AHEAD_MAX + READ_BYTES}`);
    this.#output.replace(output);
    this.#ahead.replace(input);
    this.#waiting = waiting;
  }

  get connection(): Connection {
    if (this.#peer === null) return 'none';
    return this.#options.kind === 'listener' ? { client: this.#peer } : 'own';
  }

  /**
   * Continues with the other end that another process had, while it is held. Takes over the client's fd.
   * @throws if it cannot have such a one
   */
  continueWith(connection: Connection): void {
    const { kind, fd } = this.#options;
    if (connection !== 'none' && (connection === 'own') === (kind === 'listener'))
      throw new Error(`the connection of ${this.label} does not fit it`);
    if (connection === 'none') this.#peer = null;
    else this.#peer = connection === 'own' ? fd : connection.client;
  }

  close(): void {
    if (this.#closed) return;
    this.#disconnect();
    this.#closed = true;
    this.#cancelLook();
    this.#cancelPass();
    const { kind, fd, loop, closeFd } = this.#options;
    if (kind === 'listener') loop.unwatchFd(fd);
    closeFd(fd);
  }

  #begin(): void {
    const { kind, fd, loop } = this.#options;
    if (this.#ahead.length > 0) this.#passSoon();
    if (this.#peer !== null) this.#watch();
    else if (kind === 'listener') loop.watchFd(fd, false, () => this.#accept());
    else if (kind === 'pty') this.#lookIn(0n);
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
    this.#watchFor('nothing');
    this.#peer = null;
    this.#isStuck = false;
    this.#output.clear();
    this.#reportDropped();
    if (kind === 'listener') {
      libc.close(peer);
      if (!this.#closed) loop.watchFd(fd, false, () => this.#accept());
    } else if (kind === 'pty') this.#lookIn(PTY_LOOK_NS);
    this.onConnected?.(false);
    this.#madeRoom();
  }

  /** A pseudoterminal has a peer once reads from it no longer fail. */
  #look(): void {
    if (this.#closed) return;
    const { fd } = this.#options;
    const bytes = this.#read(fd);
    if (bytes === 'gone') {
      this.#lookIn(PTY_LOOK_NS);
      return;
    }
    this.#connect(fd);
    if (bytes === null) return;
    if (this.#ahead.length > 0) this.#ahead.push(bytes);
    else this.#take(bytes);
  }

  #lookIn(ns: bigint): void {
    const { loop } = this.#options;
    this.#cancelLook();
    this.#cancelLook = loop.at(loop.now() + ns, () => this.#look());
  }

  /** Reads while the guest takes input, and writes while there is output. */
  #watch(): void {
    const peer = this.#peer;
    if (peer === null || this.#isHeld) return;
    const reads = this.#mayRead;
    const writes = this.#output.length > 0;
    // Do not watch an fd that is not read: it would stay ready the whole time.
    this.#watchFor(writes ? 'writing' : reads ? 'reading' : 'nothing');
  }

  #watchFor(what: 'nothing' | 'reading' | 'writing'): void {
    if (what === this.#watched) return;
    this.#watched = what;
    const { loop } = this.#options;
    if (what === 'nothing') loop.unwatchFd(this.#peer!);
    else loop.watchFd(this.#peer!, what === 'writing', () => this.#ready());
  }

  #ready(): void {
    this.#flush();
    const peer = this.#peer;
    if (peer === null || !this.#mayRead) return;
    const bytes = this.#read(peer);
    if (bytes === 'gone') this.#disconnect();
    else if (bytes !== null) this.#take(bytes);
  }

  /** The guest takes input, and has what was read ahead. */
  get #mayRead(): boolean {
    return this.#waiting < INPUT_WINDOW && this.#ahead.length === 0;
  }

  /** Gives the device what was read ahead, as far as the guest takes it; not in the middle of its own call. */
  #passSoon(): void {
    const { loop } = this.#options;
    this.#cancelPass();
    if (this.#isHeld || this.#waiting >= INPUT_WINDOW) return;
    this.#cancelPass = loop.at(loop.now(), () => {
      if (this.#closed) return;
      this.#take(this.#ahead.take(READ_BYTES));
      if (this.#ahead.length > 0) this.#passSoon();
    });
  }

  #drop(count: number): void {
    if (this.#dropped === 0)
      this.#options.warn?.(
        `nobody has read the last ${OUTPUT_MAX / 1024} KiB of its output: more is dropped until someone does`,
      );
    this.#dropped += count;
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    this.#options.warn?.(`${this.#dropped} bytes of its output were dropped`);
    this.#dropped = 0;
  }

  #take(bytes: Uint8Array): void {
    // A device without a receiver takes everything.
    if (this.onInput !== null) this.#waiting += bytes.length;
    this.onInput?.(bytes);
    this.#watch();
  }

  #flush(): void {
    this.#isStuck = false;
    while (this.#peer !== null && this.#output.length > 0 && !this.#isStuck) {
      const bytes = this.#output.toBytes();
      const written = this.#write(this.#peer, bytes);
      if (written === null) {
        this.#disconnect();
        return;
      }
      this.#isStuck = written < bytes.length;
      // As one piece: it may have been many.
      this.#output.replace(bytes.subarray(written));
      if (written > 0) this.#reportDropped();
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
