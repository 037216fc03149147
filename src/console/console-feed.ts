import type { Clock } from '../clock.ts';
import type { ConsoleLink, Engine } from '../engine/engine.ts';
import type { AppStore } from '../store/app-store.ts';
import { bodyRows, currentScreen } from '../store/ui-slice.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { type ConsoleLine, ConsoleScreen, type LineMark } from './console-screen.ts';

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
  /** One end of what is to be copied. */
  mark: LineMark | null;
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

  /** Has the guest of the shown console asked for paste markers? */
  get bracketedPaste(): boolean {
    return this.#shown?.screen.bracketedPaste ?? false;
  }

  /** Lines of the shown console, those above its screen included. */
  get length(): number {
    return this.#shown?.screen.length ?? 0;
  }

  lines(height: number, columns: number, back: number, showCursor: boolean): ConsoleLine[] {
    return this.#shown?.screen.lines(height, columns, back, showCursor) ?? [];
  }

  /** Row of the first of these lines, counted from the first that is kept. */
  firstRow(height: number, back: number): number {
    const { length } = this;
    return Math.max(0, Math.max(Math.min(height, length), length - back) - height);
  }

  /** The rows from the mark to the line that is looked at, so far back; null where there is no mark. */
  marked(back: number): { readonly from: number; readonly to: number } | null {
    const shown = this.#shown;
    const line = shown?.mark?.line ?? -1;
    if (!shown || line < 0) return null;
    const here = shown.screen.length - 1 - back;
    return { from: Math.min(line, here), to: Math.max(line, here) };
  }

  /** Marks the line so far back, or takes the mark away. @returns false where there are no lines to be marked */
  toggleMark(back: number): boolean {
    const shown = this.#shown;
    if (!shown) return false;
    if (shown.mark === null) {
      shown.mark = shown.screen.mark(shown.screen.length - 1 - back);
      if (shown.mark === null) return false;
    } else {
      shown.mark.dispose();
      shown.mark = null;
    }
    this.#store.getState().consoleChanged();
    return true;
  }

  unmark(): void {
    if (this.#shown?.mark) this.toggleMark(0);
  }

  /** The lines that are marked, else the `height` lines that end so far back. */
  textToCopy(back: number, height: number): string[] {
    const { screen } = this.#shown ?? {};
    if (screen === undefined) return [];
    const range = this.marked(back);
    if (range !== null) return screen.text(range.from, range.to);
    const end = Math.max(Math.min(height, screen.length), screen.length - back);
    return screen.text(end - height, end - 1);
  }

  /** How far back the next line is that has the text, from the one so far back; null when there is none. */
  find(text: string, back: number, towards: 'older' | 'newer'): number | null {
    const { screen } = this.#shown ?? {};
    if (screen === undefined) return null;
    const here = screen.length - 1 - back;
    // The line at the very end may be the match that is looked for.
    const from = towards === 'newer' ? here + 1 : back === 0 ? here : here - 1;
    const row = screen.find(text, from, towards === 'newer' ? 1 : -1);
    return row === null ? null : screen.length - 1 - row;
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
    const shown: Shown = {
      id,
      link: null,
      screen: this.#screenFor(id),
      mark: null,
      pending: 0,
      replaying: true,
    };
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
    shown.mark = null;
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
    const before = screen.length;
    shown.pending += bytes.length;
    screen.write(bytes, () => {
      if (screen !== shown.screen) return;
      shown.pending -= bytes.length;
      done();
      this.#keepPlace(shown.id, screen.length - before);
      if (shown === this.#shown) this.#draw();
    });
  }

  /** Who reads further up goes on reading the same lines while more are printed. */
  #keepPlace(id: string, grown: number): void {
    const state = this.#store.getState();
    const { cursors } = vmViewOf(state, id);
    if (cursors.console > 0 && grown > 0)
      state.changeVmView(id, { cursors: { ...cursors, console: cursors.console + grown } });
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
