import type { Socket } from 'node:net';
import { createMessageConnection, type MessageConnection } from 'vscode-jsonrpc/node';
import { BoundedReader, frame, SocketWriter } from './message-stream.ts';

/** The most bytes that may wait for the peer to read them. */
const MAX_UNREAD_BYTES = 512 * 1024;
const LAST_WORDS_MS = 1000;

export type WireOptions = {
  /** Of one incoming message. */
  readonly maxBytes: number;
  /**
   * Stop reading from a peer that doesn't read, so that answers to it cannot pile up. Set on one side only, or both
   * could wait for each other.
   */
  readonly holdsUnread: boolean;
};

export type WireEvents = {
  /** The peer's input is not a message; nothing more is read. */
  broken(error: Error): void;
  /** The peer gives up on the connection, and says why. */
  refused?(sentence: string): void;
  /** The peer has read what was sent. */
  drained(): void;
  closed(): void;
};

/** One end of a connection: JSON-RPC over a socket, with bounds on everything that a peer could make grow. */
export class Wire {
  readonly connection: MessageConnection;
  readonly #socket: Socket;
  readonly #reader: BoundedReader;
  readonly #holdsUnread: boolean;
  #congested = false;

  constructor(socket: Socket, { maxBytes, holdsUnread }: WireOptions, events: WireEvents) {
    this.#socket = socket;
    this.#holdsUnread = holdsUnread;
    this.#reader = new BoundedReader(socket, maxBytes, {
      broken: events.broken,
      refused: sentence => events.refused?.(sentence),
    });
    const writer = new SocketWriter(socket, () => {
      if (socket.writableLength >= MAX_UNREAD_BYTES) this.#congest(true);
    });
    this.connection = createMessageConnection(this.#reader, writer);
    socket.on('drain', () => {
      this.#congest(false);
      events.drained();
    });
    // 'close' follows and is handled.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#reader.stop();
      this.connection.dispose();
      events.closed();
    });
  }

  /** The peer does not read as fast as this side sends: postpone what can wait. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Ignored if the peer is gone. */
  notify(method: string, params: unknown): void {
    if (this.#socket.writable) void this.connection.sendNotification(method, params);
  }

  /** Reports an error, as JSON-RPC does when there is no request to answer, and closes. */
  refuse(sentence: string): void {
    const error = { code: -32600, message: sentence };
    if (this.#socket.writable) this.#socket.write(frame({ jsonrpc: '2.0', id: null, error }));
    this.end();
  }

  /** Closes once the peer has read what was sent. */
  end(): void {
    this.#reader.stop();
    this.#socket.end();
    // A peer that doesn't read is not waited for.
    setTimeout(() => this.close(), LAST_WORDS_MS).unref();
  }

  close(): void {
    this.#reader.stop();
    this.#socket.destroy();
  }

  #congest(congested: boolean): void {
    this.#congested = congested;
    if (this.#holdsUnread) this.#reader.hold(congested);
  }
}
