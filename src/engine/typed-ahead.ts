/** Typed bytes that may wait for a guest before whoever types them has to wait. */
const WINDOW = 64 * 1024;

/** Counts what has been typed and the guest has not taken yet, so that a file is read no faster than the guest reads. */
export class TypedAhead {
  #bytes = 0;
  #waiting: (() => void)[] = [];

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
