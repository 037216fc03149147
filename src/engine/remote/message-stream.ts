import type { Socket } from 'node:net';
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  type DataCallback,
  type Disposable,
  type Message,
} from 'vscode-jsonrpc/node';
import { FrameError, FrameParser } from './frame-parser.ts';

/** The most messages in the queue; beyond that, nothing more is read from the socket. */
const MAX_WAITING = 64;

export type ReaderEvents = {
  /** The input is not a message; reading stops. */
  broken(error: Error): void;
  /** The peer is about to close the connection, and says why. */
  refused(sentence: string): void;
};

/** Reads messages from a socket and delivers them one at a time, unless held. */
export class BoundedReader extends AbstractMessageReader {
  readonly #socket: Socket;
  readonly #frames: FrameParser;
  readonly #events: ReaderEvents;
  readonly #waiting: Message[] = [];
  #callback: DataCallback = () => {};
  #scheduled = false;
  #held = false;
  #stopped = false;

  constructor(socket: Socket, maxBytes: number, events: ReaderEvents) {
    super();
    this.#socket = socket;
    this.#frames = new FrameParser(maxBytes);
    this.#events = events;
  }

  listen(callback: DataCallback): Disposable {
    this.#callback = callback;
    const take = (chunk: Buffer) => this.#take(chunk);
    this.#socket.on('data', take);
    return { dispose: () => this.#socket.off('data', take) };
  }

  /** Stops delivery while `held`; little is read then, either. */
  hold(held: boolean): void {
    this.#held = held;
    this.#flow();
  }

  /** Stops for good. Further input is discarded, but still read: otherwise the peer's close would go unnoticed. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#socket.resume();
  }

  #take(chunk: Buffer): void {
    if (this.#stopped) return;
    try {
      const messages = this.#frames.push(chunk).map(parseMessage);
      for (const message of messages) this.#noticeRefusal(message);
      this.#waiting.push(...messages.filter(isWanted));
    } catch (error) {
      this.stop();
      this.#events.broken(error as Error);
      return;
    }
    this.#flow();
  }

  /** An error that answers no request, which vscode-jsonrpc would only log. */
  #noticeRefusal(message: Message): void {
    const { id, error } = message as { id?: unknown; error?: { message?: unknown } };
    if (id === null && typeof error?.message === 'string') this.#events.refused(error.message);
  }

  /** Delivers one message per turn of the event loop: its answer is on its way before the next is handled. */
  #flow(): void {
    if (this.#stopped) return;
    if (this.#held || this.#waiting.length > MAX_WAITING) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
    if (this.#held || this.#waiting.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const next = this.#held ? undefined : this.#waiting.shift();
      if (next !== undefined) this.#callback(next);
      this.#flow();
    });
  }
}

/** Writes each message immediately and whole, so that messages leave in the order in which they were sent. */
export class SocketWriter extends AbstractMessageWriter {
  readonly #socket: Socket;
  readonly #wrote: () => void;

  constructor(socket: Socket, wrote: () => void) {
    super();
    this.#socket = socket;
    this.#wrote = wrote;
  }

  async write(message: Message): Promise<void> {
    if (!this.#socket.writable) return;
    this.#socket.write(frame(message));
    this.#wrote();
  }

  end(): void {
    this.#socket.end();
  }
}

/** A message in its wire format. */
export function frame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${body.byteLength}\r\n\r\n`), body]);
}

/** @throws FrameError for input that is no JSON-RPC message at all: vscode-jsonrpc would accept it silently */
function parseMessage(body: Buffer): Message {
  let message: unknown;
  try {
    message = JSON.parse(body.toString());
  } catch {
    throw new FrameError('a message is not valid JSON');
  }
  if (!isMessage(message))
    throw new FrameError('a message is not a JSON-RPC 2.0 request, notification or response');
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

/** False for cancellations: nothing here can be canceled, and vscode-jsonrpc does not validate such messages. */
function isWanted(message: Message): boolean {
  return (message as { method?: string }).method !== '$/cancelRequest';
}
