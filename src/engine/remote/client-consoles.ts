import type { ConsoleLink, ConsoleOptions, Engine } from '../engine.ts';
import { PrintedFeed } from './printed-feed.ts';
import { refusal } from './request-error.ts';
import type { Sink } from './sink.ts';

const MAX_CONSOLES = 64;

/** The consoles that one client watches, by the numbers it chose. */
export class ClientConsoles {
  readonly #engine: Engine;
  readonly #sink: Sink;
  readonly #open = new Map<number, { readonly link: ConsoleLink; readonly feed: PrintedFeed }>();

  constructor(engine: Engine, sink: Sink) {
    this.#engine = engine;
    this.#sink = sink;
  }

  open(number: number, id: string, options: ConsoleOptions): void {
    if (this.#open.has(number)) throw refusal('invalidParams', `there is a console ${number} already`);
    if (this.#open.size >= MAX_CONSOLES)
      throw refusal('tooMany', `${MAX_CONSOLES} consoles are open already: close one first`);
    const feed = new PrintedFeed(number, this.#sink);
    this.#open.set(number, { feed, link: this.#engine.openConsole(id, feed, options) });
  }

  find(number: number): ConsoleLink | null {
    return this.#open.get(number)?.link ?? null;
  }

  at(number: number): ConsoleLink {
    const link = this.find(number);
    if (link === null) throw refusal('invalidParams', `there is no console ${number}`);
    return link;
  }

  close(number: number): void {
    this.at(number).close();
    this.#open.delete(number);
  }

  /** Releases the keyboards it held. */
  closeAll(): void {
    for (const { link } of this.#open.values()) link.close();
    this.#open.clear();
  }

  flush(): void {
    for (const { feed } of this.#open.values()) feed.flush();
  }
}
