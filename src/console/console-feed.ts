import type { Clock } from '../clock.ts';
import type { ConsoleLink, Engine } from '../engine/engine.ts';
import type { AppStore } from '../store/app-store.ts';
import { bodyRows, currentScreen } from '../store/ui-slice.ts';
import { type ConsoleLine, ConsoleScreen } from './console-screen.ts';

/** The screen that serial guests take for granted. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 24;
/** The least time between two pictures of a busy console. */
const REDRAW_MS = 40;
/** Bytes waiting for the emulator beyond which it starts again from the scrollback instead of falling behind. */
const MAX_PENDING = 256 * 1024;

type Shown = {
  readonly id: string;
  link: ConsoleLink | null;
  screen: ConsoleScreen;
  /** Bytes written and not yet on the screen. */
  pending: number;
  /** What is on its way is old: what it asked its terminal was answered, or not, back then. */
  replaying: boolean;
};

/**
 * Joins the serial console of the VM whose screen is open to an emulator. A console that nobody looks at costs
 * nothing: the engine keeps its last bytes, and they are played when it is opened.
 */
export class ConsoleFeed {
  readonly #engine: Engine;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #shown: Shown | null = null;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #callOffDraw: (() => void) | null = null;

  constructor(engine: Engine, store: AppStore, clock: Clock) {
    this.#engine = engine;
    this.#store = store;
    this.#clock = clock;
    this.#unsubscribe = store.subscribe((state, before) => {
      if (state.screens !== before.screens || state.order !== before.order) this.#follow();
      if (state.size !== before.size) this.#resize();
      if (state.layers !== before.layers && state.layers.every(layer => layer.kind !== 'console'))
        this.#shown?.link?.releaseKeyboard();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#hide();
  }

  /** Has what is typed go to the shown VM, until no layer is its console's. @throws when somebody else types there */
  async takeKeyboard(take = false): Promise<void> {
    await this.#shown?.link?.takeKeyboard(take);
  }

  /** Ignored without the keyboard. */
  type(bytes: Uint8Array): void {
    this.#shown?.link?.type(bytes);
  }

  /** Lines of the shown console, those above its screen included. */
  get length(): number {
    return this.#shown?.screen.length ?? 0;
  }

  lines(height: number, columns: number, back: number, showCursor: boolean): ConsoleLine[] {
    return this.#shown?.screen.lines(height, columns, back, showCursor) ?? [];
  }

  #follow(): void {
    const state = this.#store.getState();
    const screen = currentScreen(state);
    const id = screen.kind === 'vm' && screen.id in state.infos ? screen.id : null;
    if (id === (this.#shown?.id ?? null)) return;
    this.#hide();
    if (id !== null) this.#show(id);
  }

  #show(id: string): void {
    const shown: Shown = { id, link: null, screen: this.#screenFor(id), pending: 0, replaying: true };
    this.#shown = shown;
    this.#store.getState().consoleShown(id);
    shown.link = this.#engine.openConsole(id, {
      printed: (bytes, replayed) => {
        if (shown !== this.#shown) return;
        if (replayed) this.#replay(shown, bytes);
        else this.#receive(shown, bytes);
      },
    });
  }

  #screenFor(id: string): ConsoleScreen {
    const { columns, rows } = this.#size();
    return new ConsoleScreen(columns, rows, text => {
      const shown = this.#shown;
      if (shown?.id === id && !shown.replaying) shown.link?.answer(new TextEncoder().encode(text));
    });
  }

  #hide(): void {
    this.#callOffDraw?.();
    this.#callOffDraw = null;
    this.#shown?.link?.close();
    this.#shown?.screen.dispose();
    this.#shown = null;
    if (this.#store.getState().console !== null) this.#store.getState().consoleShown(null);
  }

  /** The whole scrollback: the first there is to show, or after a connection has been lost. */
  #replay(shown: Shown, bytes: Uint8Array): void {
    shown.screen.dispose();
    shown.screen = this.#screenFor(shown.id);
    shown.pending = 0;
    shown.replaying = true;
    this.#write(shown, bytes, () => {
      shown.replaying = false;
    });
  }

  #receive(shown: Shown, bytes: Uint8Array): void {
    if (shown.pending <= MAX_PENDING) {
      this.#write(shown, bytes, () => {});
    } else {
      this.#hide();
      this.#show(shown.id);
    }
  }

  #write(shown: Shown, bytes: Uint8Array, done: () => void): void {
    const { screen } = shown;
    shown.pending += bytes.length;
    screen.write(bytes, () => {
      if (screen !== shown.screen) return;
      shown.pending -= bytes.length;
      done();
      if (shown === this.#shown) this.#draw();
    });
  }

  /** Lets the picture be drawn again: now, or as soon as the last one is old enough. */
  #draw(): void {
    if (this.#callOffDraw !== null) return;
    const wait = this.#drawnAt + REDRAW_MS - this.#clock.now();
    if (wait > 0) {
      this.#callOffDraw = this.#clock.after(wait, () => {
        this.#callOffDraw = null;
        this.#draw();
      });
      return;
    }
    this.#drawnAt = this.#clock.now();
    this.#store.getState().consoleChanged();
  }

  #resize(): void {
    const { columns, rows } = this.#size();
    this.#shown?.screen.resize(columns, rows);
    if (this.#shown) this.#draw();
  }

  #size(): { columns: number; rows: number } {
    const state = this.#store.getState();
    return { columns: Math.max(MIN_COLUMNS, state.size.columns), rows: Math.max(MIN_ROWS, bodyRows(state)) };
  }
}
