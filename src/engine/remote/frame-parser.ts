/** The longest header that a peer may send: only Content-Length and Content-Type are used. */
const MAX_HEADER_BYTES = 512;
const END_OF_HEADER = '\r\n\r\n';

/** Why what a peer sent is not a message. The connection can no longer be used. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Splits a byte stream into messages: `Content-Length: N`, an empty line, N bytes (the base protocol of the Language
 * Server Protocol 3.17). Buffers at most one incomplete message.
 */
export class FrameParser {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;
  /** The length of the expected body; null while reading a header. */
  #bodyLength: number | null = null;

  /** @param maxBytes of one message's body */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns the bodies that are complete now. @throws FrameError */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#held += chunk.byteLength;
    const bodies: Buffer[] = [];
    for (;;) {
      this.#bodyLength ??= this.#takeHeader();
      if (this.#bodyLength === null || this.#held < this.#bodyLength) return bodies;
      bodies.push(this.#take(this.#bodyLength));
      this.#bodyLength = null;
    }
  }

  /** @returns the length it announces; null if it is incomplete */
  #takeHeader(): number | null {
    if (this.#held === 0) return null;
    const start = this.#join().subarray(0, MAX_HEADER_BYTES).toString('latin1');
    const end = start.indexOf(END_OF_HEADER);
    if (end < 0) {
      if (this.#held >= MAX_HEADER_BYTES || !mayBecomeHeader(start))
        throw new FrameError('a message starts with "Content-Length: N" and an empty line');
      return null;
    }
    this.#take(end + END_OF_HEADER.length);
    return this.#lengthIn(start.slice(0, end));
  }

  #lengthIn(header: string): number {
    const digits = /^content-length: *(\d{1,15}) *$/im.exec(header)?.[1];
    if (digits === undefined) throw new FrameError('the header of a message has no Content-Length');
    if (Number(digits) > this.#maxBytes)
      throw new FrameError(`a message of ${digits} bytes is too long: at most ${this.#maxBytes} are allowed`);
    return Number(digits);
  }

  #take(length: number): Buffer {
    const all = this.#join();
    this.#chunks = length < all.byteLength ? [all.subarray(length)] : [];
    this.#held -= length;
    return all.subarray(0, length);
  }

  #join(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks, this.#held)];
    return this.#chunks[0]!;
  }
}

/** Rejects garbage early: a header field's name is a token, and its value is printable. */
function mayBecomeHeader(start: string): boolean {
  return /^[A-Za-z-]+(:[\t\r\n\x20-\x7e]*)?$/.test(start);
}
