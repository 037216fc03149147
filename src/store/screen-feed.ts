import type { Clock } from '../clock.ts';
import type { AppState, AppStore } from './app-store.ts';
import type { ScreenKind } from './screens.ts';
import { currentScreen } from './ui-slice.ts';

export type ScreenReading = {
  readonly screen: ScreenKind;
  /** The delay before the next read. */
  readonly againMs: number;
  /** @returns a function that puts the result into the store. @throws why it cannot be read, as a sentence */
  read(): Promise<() => void>;
  failed(problem: string): void;
};

/** Keeps a screen's data in the store while it is shown, by reading it repeatedly. */
export class ScreenFeed {
  readonly #reading: ScreenReading;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #shown = false;
  #callOff: () => void = () => {};
  /** Counts the requests: answers to earlier ones are outdated. */
  #request = 0;

  constructor(store: AppStore, clock: Clock, reading: ScreenReading) {
    this.#reading = reading;
    this.#clock = clock;
    this.#unsubscribe = store.subscribe(state => this.#follow(state));
  }

  close(): void {
    this.#unsubscribe();
    this.#shown = false;
    this.#request++;
    this.#callOff();
  }

  /** Reads it now. */
  refresh(): void {
    this.#callOff();
    if (this.#shown) void this.#read();
  }

  #follow(state: AppState): void {
    const shown = currentScreen(state).kind === this.#reading.screen;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#callOff();
    if (shown) void this.#read();
    else this.#request++;
  }

  async #read(): Promise<void> {
    const request = ++this.#request;
    const { againMs, read, failed } = this.#reading;
    try {
      const found = await read();
      if (request !== this.#request) return;
      found();
    } catch (error) {
      if (request !== this.#request) return;
      failed((error as Error).message);
    }
    this.#callOff = this.#clock.after(againMs, () => void this.#read());
  }
}
