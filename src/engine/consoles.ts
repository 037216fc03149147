import type { ConsoleLink, ConsoleListener } from './engine.ts';

/** What a console is of. */
export type ConsolePort = {
  /** The last bytes it printed, oldest first. */
  scrollback(): Uint8Array;
  type(bytes: Uint8Array): void;
  /** Somebody else types, or nobody. */
  typistChanged(): void;
};

/** Who watches one VM's serial console, and who types into it. */
export class Consoles {
  readonly #port: ConsolePort;
  readonly #listeners = new Set<ConsoleListener>();
  #typing: { readonly listener: ConsoleListener; readonly watcher: string } | null = null;

  constructor(port: ConsolePort) {
    this.#port = port;
  }

  get typist(): string | null {
    return this.#typing?.watcher ?? null;
  }

  printed(bytes: Uint8Array): void {
    for (const listener of this.#listeners) listener.printed(bytes, false);
  }

  open(listener: ConsoleListener, watcher: string): ConsoleLink {
    const own = { printed: listener.printed.bind(listener) };
    this.#listeners.add(own);
    own.printed(this.#port.scrollback(), true);
    return {
      takeKeyboard: async (take = false) => this.#take(own, watcher, take),
      releaseKeyboard: () => this.#release(own),
      type: bytes => {
        if (this.#typing?.listener === own) this.#port.type(bytes);
      },
      answer: bytes => {
        if (own === (this.#typing?.listener ?? this.#firstListener)) this.#port.type(bytes);
      },
      close: () => {
        this.#listeners.delete(own);
        this.#release(own);
      },
    };
  }

  get #firstListener(): ConsoleListener | undefined {
    const [first] = this.#listeners;
    return first;
  }

  #take(listener: ConsoleListener, watcher: string, take: boolean): void {
    if (this.#typing?.listener === listener) return;
    if (this.#typing !== null && !take) throw new Error(`${this.#typing.watcher} is typing there`);
    this.#typing = { listener, watcher };
    this.#port.typistChanged();
  }

  #release(listener: ConsoleListener): void {
    if (this.#typing?.listener !== listener) return;
    this.#typing = null;
    this.#port.typistChanged();
  }
}
