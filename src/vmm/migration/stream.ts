/**
 * What goes over the connection between two hosts while a VM migrates, in both directions: frames. Each has a header of
 * 16 bytes, little-endian: "VR", a zero byte, the kind, the length (32 bits) and an offset (64 bits). The offset is one
 * in RAM or in the state, and 0 for a message. RAM and state are sent by a native thread (native/src/snapshot/send.rs).
 */

/** The version of the frames and messages. It increases with changes that another version could misunderstand. */
export const FORMAT = 1;

/** Why a machine cannot send on. The other host, or the way to it, may have said more. */
export const CONNECTION_LOST = 'the connection to the other host is broken';

export const HEADER_BYTES = 16;

export const KIND = {
  /** A message as JSON (messages.ts). */
  message: 1,
  /** Bytes of RAM. */
  pages: 2,
  /** Bytes of RAM that are zero; the length is theirs, and there is no payload. */
  zeros: 3,
  /** Bytes of the machine's state, in order. */
  state: 4,
} as const;

/** The longest message. */
export const MAX_MESSAGE_BYTES = 4 * 2 ** 20;
/** The most bytes of RAM or state in one frame. */
export const MAX_FRAME_BYTES = 2 ** 20;

/** What a peer has sent is no stream of a migration; the message says why, to follow `the other host`. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
}

/** A part of the stream. The bytes of RAM and state come as they arrive, with the offset of the first one. */
export type StreamItem =
  | { readonly kind: 'message'; readonly message: unknown }
  | { readonly kind: 'pages'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'state'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'zeros'; readonly offset: number; readonly length: number };

export function encodeMessage(message: object): Uint8Array {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.alloc(HEADER_BYTES + body.length);
  frame.write('VR', 0, 'latin1');
  frame[3] = KIND.message;
  frame.writeUInt32LE(body.length, 4);
  body.copy(frame, HEADER_BYTES);
  return frame;
}

type Header = { readonly kind: number; readonly length: number; readonly offset: number };

/** Takes a stream apart, in whatever chunks it arrives. The peer is not trusted: every number is checked. */
export class StreamReader {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** The frame whose payload is arriving. */
  #frame: (Header & { done: number }) | null = null;
  #message: Buffer | null = null;

  /** Whether the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#frame === null && this.#headerBytes === 0;
  }

  /** The items that are complete with this chunk; their bytes are valid until the next one. @throws StreamError */
  *push(chunk: Uint8Array): Generator<StreamItem> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#frame === null) {
        const count = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + count), this.#headerBytes);
        this.#headerBytes += count;
        at += count;
        this.#checkStart();
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#headerBytes = 0;
        const header = this.#parse();
        if (header.kind === KIND.zeros) yield { kind: 'zeros', offset: header.offset, length: header.length };
        else this.#begin(header);
        continue;
      }
      const frame = this.#frame;
      const piece = chunk.subarray(at, at + frame.length - frame.done);
      const offset = frame.offset + frame.done;
      frame.done += piece.length;
      at += piece.length;
      if (frame.done === frame.length) this.#frame = null;
      if (frame.kind === KIND.message) {
        this.#message!.set(piece, frame.done - piece.length);
        if (this.#frame === null) yield { kind: 'message', message: this.#parsedMessage() };
      } else yield { kind: frame.kind === KIND.pages ? 'pages' : 'state', offset, bytes: piece };
    }
  }

  #begin(header: Header): void {
    this.#frame = { ...header, done: 0 };
    this.#message = header.kind === KIND.message ? Buffer.alloc(header.length) : null;
  }

  /** Refuses what is no frame at its first byte: a text that a shell prints may be shorter than a header. */
  #checkStart(): void {
    const start = this.#header.subarray(0, Math.min(this.#headerBytes, 3));
    if (Buffer.from('VR\0', 'latin1').subarray(0, start.length).equals(start)) return;
    throw new StreamError(
      'sent something other than a migration: its shell may print a text when it starts, or the command runs another program',
    );
  }

  #parse(): Header {
    const kind = this.#header[3]!;
    const length = this.#header.readUInt32LE(4);
    const offset = this.#header.readBigUInt64LE(8);
    if (!Object.values(KIND).includes(kind as never))
      throw new StreamError(`sent a frame of the unknown kind ${kind}`);
    if (length === 0 || length > (kind === KIND.message ? MAX_MESSAGE_BYTES : MAX_FRAME_BYTES))
      throw new StreamError(`sent a frame of ${length} bytes`);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER - MAX_FRAME_BYTES))
      throw new StreamError(`sent a frame at the offset ${offset}`);
    return { kind, length, offset: Number(offset) };
  }

  #parsedMessage(): unknown {
    const text = this.#message!.toString('utf8');
    this.#message = null;
    try {
      return JSON.parse(text);
    } catch {
      throw new StreamError('sent a message that is not JSON');
    }
  }
}
