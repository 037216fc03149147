/** A queue of bytes with a greatest length. Its memory is that of what it holds. */
export class ByteQueue {
  readonly #max: number;
  readonly #pieces: Uint8Array[] = [];
  /** How much of the first piece has been taken. */
  #taken = 0;
  #length = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns false when not all of them fit: the rest is dropped. */
  push(bytes: Uint8Array): boolean {
    const fitting = bytes.slice(0, this.#max - this.#length);
    if (fitting.length > 0) this.#pieces.push(fitting);
    this.#length += fitting.length;
    return fitting.length === bytes.length;
  }

  /** Takes the oldest byte. */
  shift(): number | undefined {
    const first = this.#pieces[0];
    if (!first) return undefined;
    const byte = first[this.#taken++];
    this.#length--;
    if (this.#taken === first.length) {
      this.#pieces.shift();
      this.#taken = 0;
    }
    return byte;
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#taken = 0;
    this.#length = 0;
  }

  replace(bytes: Uint8Array): void {
    this.clear();
    this.push(bytes);
  }

  /** A copy of what it holds, oldest first. */
  toBytes(): Uint8Array {
    const [first, ...rest] = this.#pieces;
    if (!first) return new Uint8Array(0);
    return Uint8Array.from(Buffer.concat([first.subarray(this.#taken), ...rest]));
  }
}
