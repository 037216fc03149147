import type { Socket } from 'node:net';
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import { FrameError, FrameParser } from './frame-parser.ts';

/** Messages that have arrived and wait for their turn; no more is read from the socket while there are so many. */
const MAX_WAITING = 64;
/** Bytes that wait for the peer to read them. Beyond it nothing more is read from the peer, nor told to it unasked. */
const MAX_UNREAD_BYTES = 512 * 1024;
const LAST_WORDS_MS = 1000;

export type WireEvents = {
  /** What the peer sent is no message; nothing of it is read any more. */
  broken(error: Error): void;
  /** The peer has read what was held back. */
  drained(): void;
  closed(): void;
};

/** One end of a connection: JSON-RPC over a socket, with nothing about it that a peer could make grow without bound. */
export class Wire {
  readonly connection: MessageConnection;
  readonly #socket: Socket;
  readonly #reader: Reader;
  #waiting = 0;
  #congested = false;

  /** @param maxBytes of one message that arrives */
  constructor(socket: Socket, maxBytes: number, events: WireEvents) {
    this.#socket = socket;
    this.#reader = new Reader(socket, maxBytes, error => {
      socket.pause();
      events.broken(error);
    });
    this.#reader.onMessage = () => this.#arrived();
    const writer = new Writer(socket, () => this.#wrote());
    this.connection = createMessageConnection(this.#reader, writer, undefined, {
      messageStrategy: {
        handleMessage: (message, next) => {
          this.#waiting--;
          this.#flow();
          return next(message);
        },
      },
    });
    socket.on('drain', () => {
      this.#congested = false;
      this.#flow();
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

  /** The peer doesn't read as fast as it is told: what can be told later should be. */
  get congested(): boolean {
    return this.#congested;
  }

  /** To a peer that has gone, nothing is told. */
  notify(method: string, params: unknown): void {
    if (this.#socket.writable) void this.connection.sendNotification(method, params);
  }

  /** Says what is wrong, as JSON-RPC does when there is no request to answer, and closes. */
  refuse(sentence: string): void {
    this.#reader.stop();
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

  #arrived(): void {
    this.#waiting++;
    this.#flow();
  }

  #wrote(): void {
    if (this.#socket.writableLength < MAX_UNREAD_BYTES) return;
    this.#congested = true;
    this.#flow();
  }

  #flow(): void {
    if (this.#reader.stopped) return;
    const held = this.#congested || this.#waiting > MAX_WAITING;
    if (held && !this.#socket.isPaused()) this.#socket.pause();
    if (!held && this.#socket.isPaused()) this.#socket.resume();
  }
}

class Reader extends AbstractMessageReader {
  onMessage: () => void = () => {};
  stopped = false;
  readonly #socket: Socket;
  readonly #frames: FrameParser;
  readonly #broken: (error: Error) => void;

  constructor(socket: Socket, maxBytes: number, broken: (error: Error) => void) {
    super();
    this.#socket = socket;
    this.#frames = new FrameParser(maxBytes);
    this.#broken = broken;
  }

  listen(callback: DataCallback): Disposable {
    const take = (chunk: Buffer) => {
      if (this.stopped) return;
      try {
        for (const body of this.#frames.push(chunk)) {
          const message = parseMessage(body);
          // Nothing here can be cancelled, and vscode-jsonrpc does not check what such a message brings.
          if (isCancellation(message)) continue;
          this.onMessage();
          callback(message);
        }
      } catch (error) {
        this.stop();
        this.#broken(error as Error);
      }
    };
    this.#socket.on('data', take);
    return { dispose: () => this.#socket.off('data', take) };
  }

  stop(): void {
    this.stopped = true;
  }
}

class Writer extends AbstractMessageWriter {
  readonly #socket: Socket;
  readonly #wrote: () => void;

  constructor(socket: Socket, wrote: () => void) {
    super();
    this.#socket = socket;
    this.#wrote = wrote;
  }

  /** In one piece, and at once: messages leave in the order in which they were sent. */
  async write(message: Message): Promise<void> {
    if (!this.#socket.writable) return;
    this.#socket.write(frame(message));
    this.#wrote();
  }

  end(): void {
    this.#socket.end();
  }
}

function frame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${body.byteLength}\r\n\r\n`), body]);
}

/** @throws FrameError for what isn't a JSON-RPC message at all: vscode-jsonrpc would take it without a word. */
function parseMessage(body: Buffer): Message {
  let message: unknown;
  try {
    message = JSON.parse(body.toString());
  } catch {
    throw new FrameError('a message is not valid JSON');
  }
  if (!isMessage(message))
    throw new FrameError('a message is no JSON-RPC 2.0 request, notification or response');
  return message;
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== 'object' || value === null || !('jsonrpc' in value) || value.jsonrpc !== '2.0')
    return false;
  const { method, id } = value as { method?: unknown; id?: unknown };
  const hasId = typeof id === 'number' || (typeof id === 'string' && id.length <= 64);
  if (method === undefined) return hasId || id === null;
  return typeof method === 'string' && method.length <= 64 && (hasId || id === undefined);
}

function isCancellation(message: Message): boolean {
  return (message as { method?: string }).method === '$/cancelRequest';
}
