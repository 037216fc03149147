/**
 * How a manager and a machine write messages to the socket between them: a 32-bit length, little endian, then that many bytes,
 * of which the first is the frame's kind.
 */

export const FRAME = {
  /** A message as JSON. */
  message: 1,
  /** Bytes of a character port: its number in one byte, then what was printed or typed. */
  port: 2,
  /** Bytes that a message has announced. */
  bytes: 3,
} as const;

/** The largest frame that is accepted: a machine with all of its queues and devices labels them in less than a tenth of that. */
const MAX_BYTES = 4 * 2 ** 20;
const HEADER_BYTES = 5;

export type Frame = { readonly kind: number; readonly body: Uint8Array };

export function messageFrame(message: unknown): Uint8Array {
  return encode(FRAME.message, Buffer.from(JSON.stringify(message)));
}

/** @param port 0-255 */
export function portFrame(port: number, bytes: Uint8Array): Uint8Array {
  const body = new Uint8Array(1 + bytes.length);
  body[0] = port;
  body.set(bytes, 1);
  return encode(FRAME.port, body);
}

export function bytesFrame(bytes: Uint8Array): Uint8Array {
  return encode(FRAME.bytes, bytes);
}

/** The JSON of a message's frame. @throws when it is none */
export function messageOf({ body }: Frame): unknown {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString());
}

export function portOf({ body }: Frame): { readonly port: number; readonly bytes: Uint8Array } {
  return { port: body[0] ?? 0, bytes: body.subarray(1) };
}

function encode(kind: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, 1 + body.length, true);
  frame[4] = kind;
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Puts frames together from what a stream delivers, in however many pieces: each byte is copied three times at most. */
export class FrameReader {
  /** What has come of the frame that is not complete. */
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** Bytes that have to be there before there is anything to do. */
  #needed = HEADER_BYTES;

  /** @returns the frames that are complete now. @throws when the stream is not one of frames */
  push(chunk: Uint8Array): Frame[] {
    // A copy: `slice` of a Buffer is none.
    this.#pieces.push(new Uint8Array(chunk));
    this.#length += chunk.length;
    if (this.#length < this.#needed) return [];
    let bytes = this.#joined();
    const frames: Frame[] = [];
    this.#needed = HEADER_BYTES;
    while (bytes.length >= HEADER_BYTES) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      if (length === 0 || length > MAX_BYTES) throw new Error(`a frame of ${length} bytes is not valid`);
      if (bytes.length < 4 + length) {
        this.#needed = 4 + length;
        break;
      }
      frames.push({ kind: bytes[4]!, body: bytes.slice(HEADER_BYTES, 4 + length) });
      bytes = bytes.subarray(4 + length);
    }
    this.#pieces = bytes.length === 0 ? [] : [bytes.slice()];
    this.#length = bytes.length;
    return frames;
  }

  #joined(): Uint8Array {
    const [first] = this.#pieces;
    if (first !== undefined && this.#pieces.length === 1) return first;
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}
