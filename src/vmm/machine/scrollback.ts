/** The last bytes of a stream: a ring that drops its oldest. */
export class Scrollback {
  readonly #ring: Uint8Array;
  /** Bytes ever appended. */
  #total = 0;

  /** @param capacity bytes kept */
  constructor(capacity: number) {
    this.#ring = new Uint8Array(capacity);
  }

  /** Bytes ever appended. */
  get total(): number {
    return this.#total;
  }

  /** The number of the oldest byte that is kept. */
  get oldest(): number {
    return Math.max(0, this.#total - this.#ring.length);
  }

  append(bytes: Uint8Array): void {
    const capacity = this.#ring.length;
    const kept = bytes.length > capacity ? bytes.subarray(bytes.length - capacity) : bytes;
    const start = (this.#total + bytes.length - kept.length) % capacity;
    const untilEnd = Math.min(kept.length, capacity - start);
    this.#ring.set(kept.subarray(0, untilEnd), start);
    this.#ring.set(kept.subarray(untilEnd), 0);
    this.#total += bytes.length;
  }

  /** Becomes a copy of another one, to which `total` bytes were appended and whose last are `bytes`. */
  continueAt(total: number, bytes: Uint8Array): void {
    this.#total = Math.max(0, total - bytes.length);
    this.append(bytes);
  }

  clear(): void {
    this.#total = 0;
  }

  /** The bytes kept, oldest first, as a copy. */
  read(): Uint8Array {
    return this.readFrom(0, this.#ring.length);
  }

  /**
   * At most `length` bytes from number `from` on, counted from the first ever appended, or from the oldest that is
   * kept.
   */
  readFrom(from: number, length: number): Uint8Array {
    const capacity = this.#ring.length;
    const start = Math.max(from, this.oldest);
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#total - start)));
    const at = start % capacity;
    const untilEnd = Math.min(bytes.length, capacity - at);
    bytes.set(this.#ring.subarray(at, at + untilEnd), 0);
    bytes.set(this.#ring.subarray(0, bytes.length - untilEnd), untilEnd);
    return bytes;
  }
}
