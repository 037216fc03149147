import type { Duplex } from 'node:stream';

/** The connection ended before the expected data had arrived. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

/**
 * Reads a given number of bytes at a time from a stream. Only as much is read from it as a caller waits for, beyond the
 * stream's own buffer.
 */
export class ByteReader {
  readonly #stream: Duplex;
  #ended = false;
  #wake: () => void = () => {};

  constructor(stream: Duplex) {
    this.#stream = stream;
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    stream.on('readable', () => this.#wake());
    for (const event of ['end', 'close', 'error']) stream.on(event, end);
  }

  /** Number of bytes that have arrived but not been read. */
  get waiting(): number {
    return this.#stream.readableLength;
  }

  /** @throws ConnectionEnded */
  async read(count: number): Promise<Buffer> {
    if (count === 0) return Buffer.alloc(0);
    const parts: Buffer[] = [];
    let left = count;
    while (left > 0) {
      const size = Math.min(left, Math.max(1, this.#stream.readableLength));
      const part = this.#stream.read(size) as Buffer | null;
      if (part !== null) {
        parts.push(part);
        left -= part.length;
      } else if (this.#ended) throw new ConnectionEnded('the connection has ended');
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
    }
    return Buffer.concat(parts);
  }

  /** Skips bytes without buffering them. @throws ConnectionEnded */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.read(Math.min(left, 16_384))).length;
  }
}
