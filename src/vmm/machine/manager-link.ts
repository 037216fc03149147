import type { Cancel } from '../../devices/device.ts';
import * as libc from '../native/libc.ts';
import { receiveNow, sendNow, waitForFds } from '../native/unix-socket.ts';
import { FRAME, type Frame, FrameReader, messageOf, portOf } from './frames.ts';
import type { MachineIdentity, ToMachine } from './messages.ts';
import type { MachineReport } from './report.ts';

/** Managers that connect at the same time. */
export const BACKLOG = 4;

/** What a manager sends: a message, or input for a port. */
export type Incoming =
  | ToMachine
  | { readonly kind: 'input'; readonly port: number; readonly bytes: Uint8Array };

/** Lets a thread's loop call back when an fd is ready. */
export type FdWatcher = {
  watchFd(fd: number, writable: boolean, onReady: () => void): void;
  unwatchFd(fd: number): void;
};

/** For managers that connect later: the socket on which to accept them, and the first message to them. */
export type Readmission = {
  readonly listener: number;
  readonly identity: MachineIdentity;
  readonly countersFd: number;
  /** The user whose managers are accepted, as this process sees it. */
  readonly accepts: (connection: number) => boolean;
};

/**
 * A machine's end of the connection to its manager. There is one manager at a time: a new one replaces the previous
 * one, which is gone, or about to be. Nothing here blocks, except `wait`.
 */
export class ManagerLink {
  readonly #report: MachineReport;
  #connection: number | null;
  #reader = new FrameReader();
  #inbox: Incoming[] = [];
  /** fds that came with messages (SCM_RIGHTS), in order. */
  #fds: number[] = [];
  /** The frame that is being sent, and the fds that go with its first byte. */
  #sending: { readonly frame: Uint8Array; readonly fds: readonly number[] } | null = null;
  #readmission: Readmission | null = null;
  #watcher: { readonly loop: FdWatcher; readonly onMessages: () => void } | null = null;
  readonly #close: (connection: number) => void;
  #managers = 0;

  /**
   * @param connection a connected stream socket, which this object takes over
   * @param close closes it, and those of later managers
   */
  constructor(connection: number, report: MachineReport, close: (connection: number) => void = libc.close) {
    this.#connection = connection;
    this.#report = report;
    this.#close = close;
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** Number of managers so far: it changes with the manager. */
  get manager(): number {
    return this.#managers;
  }

  /** Whether there may be a manager now or later. */
  get reachable(): boolean {
    return this.#connection !== null || this.#readmission !== null;
  }

  /** Accepts other managers from here on. */
  readmit(readmission: Readmission): void {
    this.#readmission = readmission;
    // A peer may be gone, or accepted already, by the time its connection is examined.
    libc.setNonblocking(readmission.listener);
    libc.listen(readmission.listener, BACKLOG);
    this.#watchListener();
  }

  /** Accepts other managers at another socket from here on, which is non-blocking and listens already. */
  listenAt(listener: number): void {
    const readmission = this.#readmission;
    if (readmission === null) {
      libc.close(listener);
      return;
    }
    this.#closeListener();
    this.#readmission = { ...readmission, listener };
    this.#watchListener();
  }

  /** The oldest unread message; null if there is none. */
  next(): Incoming | null {
    return this.#inbox.shift() ?? null;
  }

  /** An fd that came with a message; null if none is left. The caller takes it over. */
  takeFd(): number | null {
    return this.#fds.shift() ?? null;
  }

  /** Sends pending output, as far as the socket takes it. */
  flush(): void {
    while (this.#connection !== null) {
      this.#sending ??= this.#nextFrame();
      if (this.#sending === null) break;
      const { frame, fds } = this.#sending;
      const sent = sendNow(this.#connection, frame, fds);
      if (sent === null) {
        this.#disconnect();
        return;
      }
      if (sent === 0) break;
      this.#sending = sent === frame.length ? null : { frame: frame.subarray(sent), fds: [] };
    }
    this.#watchConnection();
  }

  /**
   * Lets a loop receive and send until the returned function is called.
   * @param onMessages there may be messages to read
   */
  attach(loop: FdWatcher, onMessages: () => void): Cancel {
    this.#watcher = { loop, onMessages };
    this.#watchConnection();
    this.#watchListener();
    return () => {
      if (this.#connection !== null) loop.unwatchFd(this.#connection);
      if (this.#readmission !== null) loop.unwatchFd(this.#readmission.listener);
      this.#watcher = null;
    };
  }

  /** Blocks until there may be a message, for a thread without a loop, or for at most this many milliseconds. */
  wait(timeoutMs?: number): void {
    const connection = this.#connection;
    const fds = [
      ...(connection === null ? [] : [{ fd: connection, writable: this.#sending !== null }]),
      ...(this.#readmission === null ? [] : [{ fd: this.#readmission.listener }]),
    ];
    if (fds.length === 0) return;
    const ready = waitForFds(fds, timeoutMs);
    if (this.#readmission !== null && ready.includes(this.#readmission.listener)) this.#accept();
    else if (ready.length > 0) this.#receive();
  }

  /**
   * Sends the remaining output, and accepts no other manager. Blocks until the present one has taken it, or is gone.
   */
  finish(): void {
    this.#closeListener();
    for (this.flush(); this.#connection !== null && this.#sending !== null; this.flush()) {
      waitForFds([{ fd: this.#connection, writable: true }]);
      // Incoming messages are no longer read.
      this.#receive();
      this.#inbox = [];
    }
  }

  close(): void {
    this.#disconnect();
    this.#closeFds();
    this.#closeListener();
  }

  #closeListener(): void {
    if (this.#readmission === null) return;
    this.#watcher?.loop.unwatchFd(this.#readmission.listener);
    libc.close(this.#readmission.listener);
    this.#readmission = null;
  }

  #nextFrame(): { frame: Uint8Array; fds: readonly number[] } | null {
    const frame = this.#report.next();
    return frame === null ? null : { frame, fds: [] };
  }

  #receive(): void {
    while (this.#connection !== null) {
      const received = receiveNow(this.#connection);
      if (received.kind === 'empty') break;
      if (received.kind === 'closed') {
        this.#disconnect();
        break;
      }
      this.#fds.push(...received.fds);
      try {
        for (const frame of this.#reader.push(received.bytes)) this.#take(frame);
      } catch {
        // The sender of that is not a manager.
        this.#disconnect();
      }
    }
    this.flush();
  }

  #take(frame: Frame): void {
    if (frame.kind === FRAME.message) this.#inbox.push(messageOf(frame) as ToMachine);
    else if (frame.kind === FRAME.port) this.#inbox.push({ kind: 'input', ...portOf(frame) });
  }

  #accept(): void {
    const readmission = this.#readmission!;
    const connection = libc.accept(readmission.listener);
    if (connection === null) return;
    if (!readmission.accepts(connection)) {
      libc.close(connection);
      return;
    }
    this.#disconnect();
    this.#connection = connection;
    const hello = this.#report.beginAgain(readmission.identity);
    this.#sending = { frame: hello, fds: [readmission.countersFd] };
    this.flush();
  }

  /** Messages that have already arrived are still carried out, with the fds that came along. */
  #disconnect(): void {
    if (this.#connection === null) return;
    this.#watcher?.loop.unwatchFd(this.#connection);
    this.#close(this.#connection);
    this.#connection = null;
    this.#managers++;
    this.#sending = null;
    this.#reader = new FrameReader();
    if (this.#inbox.length === 0) this.#closeFds();
  }

  #closeFds(): void {
    for (const fd of this.#fds.splice(0)) libc.close(fd);
  }

  #watchConnection(): void {
    if (this.#connection === null) return;
    this.#watcher?.loop.watchFd(this.#connection, this.#sending !== null, () => {
      this.#receive();
      this.#watcher?.onMessages();
    });
  }

  #watchListener(): void {
    if (this.#readmission === null) return;
    this.#watcher?.loop.watchFd(this.#readmission.listener, false, () => {
      this.#accept();
      this.#watcher?.onMessages();
    });
  }
}
