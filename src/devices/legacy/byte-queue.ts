/** A bounded queue of bytes. It uses memory only for its contents. */
export class ByteQueue {
  readonly #max: number;
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that have been taken. */
  #taken = 0;
  #length = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns false if not all of them fit; the rest are dropped */
  push(bytes: Uint8Array): boolean {
    const fitting = bytes.slice(0, this.#max - this.#length);
    if (fitting.length > 0) this.#chunks.push(fitting);
    this.#length += fitting.length;
    return fitting.length === bytes.length;
  }

  /** Takes the oldest byte. */
  shift(): number | undefined {
    const first = this.#chunks[0];
    if (!first) return undefined;
    const byte = first[this.#taken++];
    this.#length--;
    if (this.#taken === first.length) {
      this.#chunks.shift();
      this.#taken = 0;
    }
    return byte;
  }

  /** Takes the oldest bytes, at most `count`. */
  take(count: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(count, this.#length));
    let done = 0;
    while (done < bytes.length) {
      const first = this.#chunks[0]!;
      const part = first.subarray(this.#taken, this.#taken + bytes.length - done);
      bytes.set(part, done);
      done += part.length;
      this.#taken += part.length;
      if (this.#taken < first.length) continue;
      this.#chunks.shift();
      this.#taken = 0;
    }
    this.#length -= bytes.length;
    return bytes;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#taken = 0;
    this.#length = 0;
  }

  replace(bytes: Uint8Array): void {
    this.clear();
    this.push(bytes);
  }

  /** A copy of the contents, oldest first. */
  toBytes(): Uint8Array {
    const [first, ...rest] = this.#chunks;
    if (!first) return new Uint8Array(0);
    return Uint8Array.from(Buffer.concat([first.subarray(this.#taken), ...rest]));
  }
}
