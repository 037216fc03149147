/** The most typed bytes that may wait for a guest before a sender that waits is held back. */
const WINDOW = 64 * 1024;
/** The most typed bytes kept for a guest if the sender does not wait. */
const LIMIT = 1024 * 1024;

/** Counts the typed bytes that the guest has not read yet, so that a file is read no faster than the guest reads. */
export class TypedAhead {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** How many more bytes may be typed; what is sent beyond that is dropped. */
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

  /** The machine is gone or was replaced: what waited for it is dropped. */
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
