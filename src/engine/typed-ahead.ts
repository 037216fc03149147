/** Typed bytes that may wait for a guest before whoever types them has to wait. */
const WINDOW = 64 * 1024;
/** Typed bytes that are kept for a guest, if whoever types them does not wait. */
const LIMIT = 1024 * 1024;

/** Counts what has been typed and the guest has not taken yet, so that a file is read no faster than the guest reads. */
export class TypedAhead {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** How many more bytes may be typed at all: what a guest that does not read is sent beyond that is dropped. */
  get capacity(): number {
    return Math.max(0, LIMIT - this.#bytes);
  }

  typed(bytes: number): void {
    this.#bytes += bytes;
  }

  taken(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes);
    if (this.#bytes < WINDOW) this.#letGo();
  }

  /** The machine is another one, or gone: what waited for it is dropped. */
  clear(): void {
    this.#bytes = 0;
    this.#letGo();
  }

  /** Resolves when more may be typed. */
  room(): Promise<void> {
    if (this.#bytes < WINDOW) return Promise.resolve();
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  #letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
