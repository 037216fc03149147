import type { Socket } from 'node:net';
import { createMessageConnection, type MessageConnection } from 'vscode-jsonrpc/node';
import { BoundedReader, frame, SocketWriter } from './message-stream.ts';

/** Bytes that wait for the peer to read them. */
const MAX_UNREAD_BYTES = 512 * 1024;
const LAST_WORDS_MS = 1000;

export type WireOptions = {
  /** Of one message that arrives. */
  readonly maxBytes: number;
  /**
   * A peer that doesn't read isn't read either: what it asks for can't pile up. On one side only, or both could wait for
   * each other.
   */
  readonly holdsUnread: boolean;
};

export type WireEvents = {
  /** What the peer sent is no message; nothing of it is read any more. */
  broken(error: Error): void;
  /** The peer gives up on the connection, and says why. */
  refused?(sentence: string): void;
  /** The peer has read what was sent. */
  drained(): void;
  closed(): void;
};

/** One end of a connection: JSON-RPC over a socket, with nothing about it that a peer could make grow without bound. */
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
    // 'close' follows, and is what counts.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#reader.stop();
      this.connection.dispose();
      events.closed();
    });
  }

  /** The peer does not read as fast as this side sends: what can wait should. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Ignored when the peer is gone. */
  notify(method: string, params: unknown): void {
    if (this.#socket.writable) void this.connection.sendNotification(method, params);
  }

  /** Says what is wrong, as JSON-RPC does when there is no request to answer, and closes. */
  refuse(sentence: string): void {
    const error = { code: -32600, message: sentence };
    if (this.#socket.writable) this.#socket.write(frame({ jsonrpc: '2.0', id: null, error }));
    this.end();
  }

  /** Closes once the peer has read what was sent. */
  end(): void {
    this.#reader.stop();
    this.#socket.end();
    // A peer that doesn't read isn't waited for.
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
