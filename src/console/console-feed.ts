import type { Clock } from '../clock.ts';
import type { ConsoleLink, ConsoleListener, Engine } from '../engine/engine.ts';
import { COM1 } from '../engine/vm-consoles.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import type { AppState, AppStore } from '../store/app-store.ts';
import { bodyRows, currentScreen } from '../store/ui-slice.ts';
import { SCREEN_PORT, vmViewOf } from '../store/vm-view-slice.ts';
import { own } from '../text/own.ts';
import { type ConsoleLine, ConsoleScreen, type LineMark } from './console-screen.ts';

/** The screen size that serial guests assume. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 24;
/** The shortest time between two frames of a busy console. */
const REDRAW_MS = 40;
/** With more bytes than this waiting for the emulator, it restarts from the scrollback instead of falling behind. */
const MAX_PENDING = 256 * 1024;

/** Whether a VM has a screen, as far as is known. */
export function hasScreen(info: VmInfo | undefined): boolean {
  return info?.topology?.devices.some(({ screen }) => screen) ?? false;
}

/**
 * The selected console: the chosen one, else the screen, else the first serial port; the latter comes first if firmware
 * uses it. The VM may have a new machine by now, without the chosen one.
 */
export function shownPort(state: AppState, id: string): number {
  const { port } = vmViewOf(state, id);
  const info = own(state.infos, id);
  const consoles = info?.topology?.consoles ?? [];
  if (port !== null && consoles.some(console => console.port === port)) return port;
  const serialFirst = info?.topology?.serialFirst === true && port !== SCREEN_PORT;
  return hasScreen(info) && !serialFirst && port !== COM1 ? SCREEN_PORT : COM1;
}

type Shown = {
  readonly id: string;
  readonly port: number;
  link: ConsoleLink | null;
  screen: ConsoleScreen;
  /** One end of the selection. */
  mark: LineMark | null;
  /** Bytes written and not yet on the screen. */
  pending: number;
  /** The bytes being written are a replay: don't answer their terminal queries again. */
  replaying: boolean;
};

/**
 * Connects the selected console of the VM on screen to an emulator. A console that isn't shown costs nothing: the
 * engine keeps its last bytes, which are replayed when it is opened.
 */
export class ConsoleFeed {
  readonly #engine: Engine;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #shown: Shown | null = null;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #cancelDraw: (() => void) | null = null;

  constructor(engine: Engine, store: AppStore, clock: Clock) {
    this.#engine = engine;
    this.#store = store;
    this.#clock = clock;
    this.#unsubscribe = store.subscribe((state, before) => {
      if (
        state.screens !== before.screens ||
        state.order !== before.order ||
        state.vmViews !== before.vmViews ||
        state.infos !== before.infos
      )
        this.#follow();
      if (state.size !== before.size) this.#resize();
      if (state.layers !== before.layers && state.layers.every(layer => layer.kind !== 'console'))
        this.#shown?.link?.releaseKeyboard();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#hide();
  }

  /** Sends keys to the shown VM while its console is open. @throws if another client holds the keyboard */
  async takeKeyboard(take = false): Promise<void> {
    await this.#shown?.link?.takeKeyboard(take);
  }

  /** Ignored unless this client holds the keyboard. */
  type(bytes: Uint8Array): void {
    this.#shown?.link?.type(bytes);
  }

  /** Whether the guest of the shown console has asked for paste markers. */
  get bracketedPaste(): boolean {
    return this.#shown?.screen.bracketedPaste ?? false;
  }

  /** Number of lines of the shown console, including those above its screen. */
  get length(): number {
    return this.#shown?.screen.length ?? 0;
  }

  lines(height: number, columns: number, back: number, showCursor: boolean): ConsoleLine[] {
    return this.#shown?.screen.lines(height, columns, back, showCursor) ?? [];
  }

  /** Row of the first of these lines, counted from the oldest one kept. */
  firstRow(height: number, back: number): number {
    const { length } = this;
    return Math.max(0, Math.max(Math.min(height, length), length - back) - height);
  }

  /** The rows from the mark to the line `back` lines from the end; null without a mark. */
  marked(back: number): { readonly from: number; readonly to: number } | null {
    const shown = this.#shown;
    const line = shown?.mark?.line ?? -1;
    if (!shown || line < 0) return null;
    const here = shown.screen.length - 1 - back;
    return { from: Math.min(line, here), to: Math.max(line, here) };
  }

  /** Marks the line `back` lines from the end, or clears the mark. @returns false if there are no lines to mark */
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

  /** The marked lines, else the `height` lines that end `back` lines from the end. */
  textToCopy(back: number, height: number): string[] {
    const { screen } = this.#shown ?? {};
    if (screen === undefined) return [];
    const range = this.marked(back);
    if (range !== null) return screen.text(range.from, range.to);
    const end = Math.max(Math.min(height, screen.length), screen.length - back);
    return screen.text(end - height, end - 1);
  }

  /** Position of the next line that contains the text, starting from position `back`; null if there is none. */
  find(text: string, back: number, towards: 'older' | 'newer'): number | null {
    const { screen } = this.#shown ?? {};
    if (screen === undefined) return null;
    const here = screen.length - 1 - back;
    // The last line may be the match.
    const from = towards === 'newer' ? here + 1 : back === 0 ? here : here - 1;
    const row = screen.find(text, from, towards === 'newer' ? 1 : -1);
    return row === null ? null : screen.length - 1 - row;
  }

  #follow(): void {
    const state = this.#store.getState();
    const screen = currentScreen(state);
    const shown = screen.kind === 'vm' && screen.id in state.infos ? screen.id : null;
    const port = shown === null ? COM1 : shownPort(state, shown);
    const id = port === SCREEN_PORT ? null : shown;
    if (id === (this.#shown?.id ?? null) && port === (this.#shown?.port ?? COM1)) return;
    this.#hide();
    if (id !== null) this.#show(id, port);
  }

  #show(id: string, port: number): void {
    const shown: Shown = {
      id,
      port,
      link: null,
      screen: this.#screenFor(id),
      mark: null,
      pending: 0,
      replaying: true,
    };
    this.#shown = shown;
    this.#store.getState().consoleShown(id);
    const listener: ConsoleListener = {
      printed: (bytes, replayed) => {
        if (shown !== this.#shown) return;
        if (replayed) this.#replay(shown, bytes);
        else this.#receive(shown, bytes);
      },
    };
    shown.link = this.#engine.openConsole(id, listener, port === COM1 ? {} : { port });
    shown.link.setSize(this.#size());
  }

  #screenFor(id: string): ConsoleScreen {
    const { columns, rows } = this.#size();
    return new ConsoleScreen(columns, rows, text => {
      const shown = this.#shown;
      if (shown?.id === id && !shown.replaying) shown.link?.answer(new TextEncoder().encode(text));
    });
  }

  #hide(): void {
    this.#cancelDraw?.();
    this.#cancelDraw = null;
    this.#shown?.link?.close();
    this.#shown?.screen.dispose();
    this.#shown = null;
    if (this.#store.getState().console !== null) this.#store.getState().consoleShown(null);
  }

  /** The whole scrollback: at first, and after a reconnect. */
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
      this.#show(shown.id, shown.port);
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

  /** While scrolled up, keeps showing the same lines as more are printed. */
  #keepPlace(id: string, grown: number): void {
    const state = this.#store.getState();
    const { cursors } = vmViewOf(state, id);
    if (cursors.console > 0 && grown > 0)
      state.changeVmView(id, { cursors: { ...cursors, console: cursors.console + grown } });
  }

  /** Schedules a redraw: now, or once the last one is old enough. */
  #draw(): void {
    if (this.#cancelDraw !== null) return;
    const wait = this.#drawnAt + REDRAW_MS - this.#clock.now();
    if (wait > 0) {
      this.#cancelDraw = this.#clock.after(wait, () => {
        this.#cancelDraw = null;
        this.#draw();
      });
      return;
    }
    this.#drawnAt = this.#clock.now();
    this.#store.getState().consoleChanged();
  }

  #resize(): void {
    if (this.#shown === null) return;
    const size = this.#size();
    this.#shown.screen.resize(size.columns, size.rows);
    this.#shown.link?.setSize(size);
    this.#draw();
  }

  #size(): { columns: number; rows: number } {
    const state = this.#store.getState();
    return { columns: Math.max(MIN_COLUMNS, state.size.columns), rows: Math.max(MIN_ROWS, bodyRows(state)) };
  }
}
