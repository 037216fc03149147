/**
 * How a manager and a machine write messages to the socket between them: a 32-bit little-endian length, then that many
 * bytes, the first of which is the frame's kind.
 */

export const FRAME = {
  /** A message as JSON. */
  message: 1,
  /** Bytes of a character port: its number in one byte, then what was printed or typed. */
  port: 2,
  /** Bytes that a message has announced. */
  bytes: 3,
} as const;

/** Largest frame accepted: the labels of a machine with every possible queue and device take less than a tenth. */
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

/** The JSON of a message's frame. @throws if it is not one */
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

/** Assembles frames from a stream's chunks, however small: each byte is copied three times at most. */
export class FrameReader {
  /** The chunks of the incomplete frame. */
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** Bytes needed before there is anything to do. */
  #needed = HEADER_BYTES;

  /** @returns the frames that are now complete. @throws if the stream does not consist of frames */
  push(chunk: Uint8Array): Frame[] {
    // A copy, unlike `slice` of a Buffer.
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
