/** The last bytes of a stream: a ring that forgets its oldest. */
export class Scrollback {
  readonly #ring: Uint8Array;
  /** Bytes ever appended. */
  #total = 0;

  /** @param capacity bytes kept */
  constructor(capacity: number) {
    this.#ring = new Uint8Array(capacity);
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

  clear(): void {
    this.#total = 0;
  }

  /** What is kept, oldest first, as a copy. */
  read(): Uint8Array {
    const capacity = this.#ring.length;
    if (this.#total <= capacity) return this.#ring.slice(0, this.#total);
    const start = this.#total % capacity;
    const bytes = new Uint8Array(capacity);
    bytes.set(this.#ring.subarray(start), 0);
    bytes.set(this.#ring.subarray(0, start), capacity - start);
    return bytes;
  }
}
