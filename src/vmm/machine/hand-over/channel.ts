import * as libc from '../../native/libc.ts';
import { MAX_FDS, receiveNow, sendNow } from '../../native/unix-socket.ts';
import { MAX_STATE_BYTES } from '../../snapshot/state-codec.ts';
import { bytesFrame, FRAME, FrameReader, messageFrame, messageOf } from '../frames.ts';
import { HandOverError } from './messages.ts';

/** Most bytes of a state in one frame. */
const PIECE_BYTES = 2 ** 20;

type Outgoing = { readonly frame: Uint8Array; readonly fds: readonly number[] };

/** Either end of the socket of a hand-over. Nothing here blocks. */
export class HandOverChannel {
  readonly fd: number;
  readonly #reader = new FrameReader();
  #outgoing: Outgoing[] = [];
  #incoming: unknown[] = [];
  #fds: number[] = [];
  /** A state that is being received. */
  #state: { readonly bytes: Uint8Array; at: number } | null = null;
  #isClosed = false;
  #isOver = false;

  /** @param fd a connected stream socket, which this object takes over */
  constructor(fd: number) {
    this.fd = fd;
    libc.setNonblocking(fd);
  }

  /** Whether nothing more can be sent, or will come after what `receive` returns. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the socket has not taken everything yet. */
  get isWaiting(): boolean {
    return this.#outgoing.length > 0;
  }

  /**
   * Sends a message, as far as the socket takes it.
   * @param fds the caller keeps them, and must keep them open until it is sent
   */
  send(message: object, fds: readonly number[] = []): void {
    this.#add(fds);
    this.#outgoing.push({ frame: messageFrame(message), fds: [] });
    this.flush();
  }

  /** Sends a message of kind `state`, with its bytes in separate frames. @param fds as for `send` */
  sendState(bytes: Uint8Array, fds: readonly number[] = []): void {
    this.#add(fds);
    this.#outgoing.push({ frame: messageFrame({ kind: 'state', bytes: bytes.length }), fds: [] });
    for (let from = 0; from < bytes.length; from += PIECE_BYTES)
      this.#outgoing.push({ frame: bytesFrame(bytes.subarray(from, from + PIECE_BYTES)), fds: [] });
    this.flush();
  }

  /** The fds come first, so that all of them have arrived when the message is read. */
  #add(fds: readonly number[]): void {
    for (let from = 0; from < fds.length; from += MAX_FDS)
      this.#outgoing.push({ frame: bytesFrame(new Uint8Array()), fds: fds.slice(from, from + MAX_FDS) });
  }

  /** Sends what is waiting, as far as the socket takes it. */
  flush(): void {
    for (let next = this.#outgoing[0]; next !== undefined && !this.#isOver; next = this.#outgoing[0]) {
      const sent = sendNow(this.fd, next.frame, next.fds);
      if (sent === null) this.#isOver = true;
      else if (sent === 0) return;
      else if (sent === next.frame.length) this.#outgoing.shift();
      else this.#outgoing[0] = { frame: next.frame.subarray(sent), fds: [] };
    }
  }

  /**
   * @returns the messages that have arrived, unchecked except for a `state`, which has its bytes. @throws HandOverError
   */
  receive(): unknown[] {
    while (!this.#isOver) {
      const received = receiveNow(this.fd);
      if (received.kind === 'empty') break;
      if (received.kind === 'closed') {
        this.#isOver = true;
        break;
      }
      this.#fds.push(...received.fds);
      this.#read(received.bytes);
    }
    return this.#incoming.splice(0);
  }

  /** The oldest fd that has arrived; the caller takes it over. @throws HandOverError if there is none */
  takeFd(): number {
    const fd = this.#fds.shift();
    if (fd === undefined) throw new HandOverError('the other process did not pass all of its files');
    return fd;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isOver = true;
    libc.close(this.fd);
    for (const fd of this.#fds.splice(0)) libc.close(fd);
  }

  #read(bytes: Uint8Array): void {
    try {
      for (const frame of this.#reader.push(bytes)) {
        if (frame.kind === FRAME.message) this.#message(messageOf(frame));
        else if (frame.kind === FRAME.bytes) this.#piece(frame.body);
        else throw new HandOverError('the other process sent a frame of an unknown kind');
      }
    } catch (error) {
      if (error instanceof HandOverError) throw error;
      throw new HandOverError(`the other process sent an invalid message: ${(error as Error).message}`);
    }
  }

  #message(message: unknown): void {
    if (this.#state !== null) throw new HandOverError('the other process stopped in the middle of its state');
    const { kind, bytes } = (message ?? {}) as { readonly kind?: unknown; readonly bytes?: unknown };
    if (kind !== 'state') {
      this.#incoming.push(message);
      return;
    }
    if (typeof bytes !== 'number' || !Number.isInteger(bytes) || bytes < 1 || bytes > MAX_STATE_BYTES)
      throw new HandOverError('the other process sent a state of a length that is not valid');
    this.#state = { bytes: new Uint8Array(bytes), at: 0 };
  }

  /** One without bytes carries fds. */
  #piece(piece: Uint8Array): void {
    if (piece.length === 0) return;
    const state = this.#state;
    if (state === null || piece.length > state.bytes.length - state.at)
      throw new HandOverError('the other process sent more than its state');
    state.bytes.set(piece, state.at);
    state.at += piece.length;
    if (state.at < state.bytes.length) return;
    this.#state = null;
    this.#incoming.push({ kind: 'state', bytes: state.bytes });
  }
}
