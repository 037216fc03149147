import type { Clock } from '../clock.ts';
import { shownPort } from '../console/console-feed.ts';
import type { Span } from '../console/console-screen.ts';
import type { ScreenFrame } from '../devices/display/screen-frame.ts';
import { DEFAULT_LAYOUT, type LayoutName } from '../devices/input/layout-names.ts';
import type { Engine } from '../engine/engine.ts';
import { followScreen } from '../engine/screen/follow-screen.ts';
import type { ScreenLink } from '../engine/screen/screen-link.ts';
import type { AppStore } from '../store/app-store.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { SCREEN_PORT, type VmTab, vmViewOf } from '../store/vm-view-slice.ts';
import { drawFrame } from './cells/draw-frame.ts';
import { spanRows } from './cells/spans.ts';
import { InputQueue } from './keyboard/input-queue.ts';
import { preferredLayout } from './keyboard/preferred-layout.ts';
import type { PanePicture } from './terminal/pane-picture.ts';
import { TerminalKeys } from './terminal/terminal-keys.ts';

/** The shortest interval between two pictures. */
const REDRAW_MS = 100;

/** The tabs that show the screen, if it is the selected console. */
const TABS: readonly VmTab[] = ['console', 'summary'];

type Shown = {
  readonly id: string;
  readonly link: ScreenLink;
  readonly keys: TerminalKeys;
  frame: ScreenFrame;
};

/** Follows the screen of the VM that is shown; an invisible one costs nothing. */
export class VmScreenFeed {
  readonly #engine: Engine;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #failed: (text: string) => void;
  /** Shows graphics better than cells do; null: this terminal has cells only. */
  readonly picture: PanePicture | null;
  readonly #unsubscribe: () => void;
  #shown: Shown | null = null;

  /** @param failed receives a message for the user */
  constructor(
    engine: Engine,
    store: AppStore,
    clock: Clock,
    failed: (text: string) => void,
    picture: PanePicture | null = null,
  ) {
    this.picture = picture;
    this.#engine = engine;
    this.#store = store;
    this.#clock = clock;
    this.#failed = failed;
    this.#unsubscribe = store.subscribe((state, before) => {
      if (
        state.screens !== before.screens ||
        state.vmViews !== before.vmViews ||
        state.infos !== before.infos
      )
        this.#follow();
      const released =
        state.layers !== before.layers && state.layers.every(layer => layer.kind !== 'console');
      if (released) this.#shown?.keys.end();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#hide();
  }

  /** Whether input goes to the keyboard of the VM, rather than to a serial console. */
  get isShown(): boolean {
    return this.#shown !== null;
  }

  /** The screen's contents; null if none is visible. */
  get frame(): ScreenFrame | null {
    return this.#shown?.frame ?? null;
  }

  type(bytes: Uint8Array): void {
    this.#shown?.keys.push(bytes);
  }

  rows(columns: number, rows: number, color: boolean, ascii: boolean): Span[][] {
    return spanRows(drawFrame(this.frame ?? { kind: 'off' }, { columns, rows, color, ascii }));
  }

  #follow(): void {
    const state = this.#store.getState();
    const screen = currentScreen(state);
    const id =
      screen.kind === 'vm' &&
      screen.id in state.infos &&
      TABS.includes(vmViewOf(state, screen.id).tab) &&
      shownPort(state, screen.id) === SCREEN_PORT
        ? screen.id
        : null;
    if (id === (this.#shown?.id ?? null)) return;
    this.#hide();
    if (id !== null) this.#show(id);
  }

  #show(id: string): void {
    const queue = new InputQueue(this.#engine, id, error => this.#failed(error.message), this.#clock);
    const layout = this.#layoutOf(id);
    const keys = new TerminalKeys(
      layout,
      {
        input: events => queue.push(events),
        // Ctrl-] is handled earlier, and the menu is an action.
        own: () => {},
        replied: reply => this.picture?.replied(reply),
        unknown: character => this.#failed(`the ${layout} layout has no ${character}`),
      },
      this.#clock,
    );
    const shown: Shown = { id, link: followScreen(this.#engine, id), keys, frame: { kind: 'off' } };
    this.#shown = shown;
    void this.#watch(shown);
  }

  #layoutOf(id: string): LayoutName {
    try {
      return preferredLayout(this.#store.getState().infos[id] ?? {});
    } catch (error) {
      this.#failed((error as Error).message);
      return DEFAULT_LAYOUT;
    }
  }

  async #watch(shown: Shown): Promise<void> {
    for (;;) {
      const view = await shown.link.next();
      if (view === null || shown !== this.#shown) return;
      shown.frame = view.frame;
      this.picture?.frameChanged(view.frame, view.changed);
      this.#store.getState().vmScreenChanged();
      await new Promise<void>(resolve => this.#clock.after(REDRAW_MS, resolve));
    }
  }

  #hide(): void {
    this.#shown?.keys.end();
    this.#shown?.link.close();
    this.#shown = null;
  }
}
