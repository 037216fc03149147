import type { TerminalSize } from '../devices/backends/char.ts';
import type { ConsoleLink, ConsoleListener, ConsoleWatcher } from './engine.ts';

/** What a console is attached to. */
export type ConsolePort = {
  /** The last bytes printed, oldest first. */
  scrollback(): Uint8Array;
  type(bytes: Uint8Array): void;
  /** Resolves when the guest has read enough of the typed bytes to accept more. */
  room(): Promise<void>;
  /** The keyboard changed hands, or was released. */
  keyboardChanged(): void;
  /** The keyboard holder's terminal changed, or its size did. */
  resized(size: TerminalSize): void;
};

/** The watchers of one VM's serial console, and which of them holds the keyboard. */
export class Consoles {
  readonly #port: ConsolePort;
  /** In the order in which they attached. */
  readonly #watchers = new Map<ConsoleListener, ConsoleWatcher>();
  readonly #sizes = new Map<ConsoleListener, TerminalSize>();
  #typing: ConsoleListener | null = null;

  constructor(port: ConsolePort) {
    this.#port = port;
  }

  get keyboardHolder(): string | null {
    return this.#typing && this.#watchers.get(this.#typing)!.name;
  }

  printed(bytes: Uint8Array): void {
    for (const listener of this.#watchers.keys()) listener.printed(bytes, false);
  }

  open(listener: ConsoleListener, watcher: ConsoleWatcher): ConsoleLink {
    const own = { printed: listener.printed.bind(listener) };
    this.#watchers.set(own, watcher);
    own.printed(this.#port.scrollback(), true);
    return {
      takeKeyboard: async (take = false) => this.#take(own, take),
      releaseKeyboard: () => this.#release(own),
      type: bytes => {
        if (this.#typing === own) this.#port.type(bytes);
      },
      feed: async bytes => {
        if (this.#typing !== own) return;
        this.#port.type(bytes);
        await this.#port.room();
      },
      answer: bytes => {
        if (own === (this.#typing ?? this.#first)) this.#port.type(bytes);
      },
      setSize: size => {
        this.#sizes.set(own, size);
        if (this.#typing === own) this.#port.resized(size);
      },
      close: () => {
        this.#release(own);
        this.#sizes.delete(own);
        this.#watchers.delete(own);
      },
    };
  }

  /** The watcher that attached first, of those whose terminals may answer. */
  get #first(): ConsoleListener | undefined {
    return [...this.#watchers].find(([, watcher]) => watcher.answers)?.[0];
  }

  #take(listener: ConsoleListener, take: boolean): void {
    if (this.#typing === listener) return;
    if (this.#typing !== null && !take) throw new Error(`${this.keyboardHolder} has the keyboard`);
    this.#typing = listener;
    this.#port.keyboardChanged();
    const size = this.#sizes.get(listener);
    if (size !== undefined) this.#port.resized(size);
  }

  #release(listener: ConsoleListener): void {
    if (this.#typing !== listener) return;
    this.#typing = null;
    this.#port.keyboardChanged();
  }
}
