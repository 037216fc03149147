import { type Clock, systemClock } from '../clock.ts';
import { ConsoleFeed, shownPort } from '../console/console-feed.ts';
import type { Engine } from '../engine/engine.ts';
import { thisTerminal } from '../engine/this-terminal.ts';
import { keyboardHolderOf } from '../engine/vm-consoles.ts';
import { deviceTroubles, type EngineEvent, isAlive, type Loss, type VmInfo } from '../engine/vm-info.ts';
import { HostRoot } from '../host/root.ts';
import { type NetworkChoices, readNetworkChoices } from '../host/use/network-choices.ts';
import type { HostSource } from '../host-service/source.ts';
import { hostSource } from '../host-service/worker.ts';
import type { PanePicture } from '../screen/terminal/pane-picture.ts';
import { VmScreenFeed } from '../screen/vm-screen-feed.ts';
import { type AppStore, createAppStore } from '../store/app-store.ts';
import { HostFeed } from '../store/host-feed.ts';
import type { Choice, DialogLayer, FormValues, Layer, Question } from '../store/layers.ts';
import { ScreenFeed } from '../store/screen-feed.ts';
import { SnapshotFeed } from '../store/snapshot-feed.ts';
import type { Notice, Size } from '../store/ui-slice.ts';
import { SampleFeed } from '../store/vm-sample-feed.ts';
import { own } from '../text/own.ts';
import { printable, printableLines } from '../text/printable.ts';
import { width } from '../text/width.ts';
import { createHostSelectors, type HostSelectors } from '../view/host-selectors.ts';
import { imageFilesOf } from '../view/image-rows.ts';
import { createSelectors, type Selectors } from '../view/selectors.ts';
import { CommandHistory } from './command-history.ts';

/** How long a message stays in the status line. */
const NOTICE_MS = { info: 5000, error: 15_000 } as const;

/** Terminals report every step of a resize; the UI is redrawn after the last one. */
const RESIZE_SETTLES_MS = 60;

/** Reading networks runs several host programs; images of some formats take qemu-img. */
const NETWORKS_AGAIN_MS = 2000;
const IMAGES_AGAIN_MS = 5000;

/** Longer errors, which may not fit into the status line of a small terminal (60 cells), are logged, too. */
const SHORT_CELLS = 58;

/** The displayed UI. */
export type Picture = {
  /** Removes it from the terminal. */
  quit(): void;
  /** Redraws everything, assuming nothing about the terminal's contents. */
  repaint(): void;
  /** Lends the terminal to another program. */
  lend(use: () => Promise<void>): Promise<void>;
  /** Suspends the process until the shell brings it back, as Ctrl-Z does elsewhere. */
  stop(): Promise<void>;
  /** Copies a text to the terminal's clipboard. */
  copy(text: string): void;
  /** Shows the screen of a VM better than cells do; null: cells are all that there is. */
  readonly ofScreen?: PanePicture | null;
};

export type UiSettings = {
  /** The host to show; default: this one. */
  readonly host?: HostSource;
  /** The choices for connecting network cards; default: those of this host. */
  readonly networkChoices?: () => NetworkChoices;
  /** Forbids everything that changes a VM or the host. */
  readonly readOnly?: boolean;
};

/** An open dialog. */
export type OpenDialog = {
  isOpen(): boolean;
  close(): void;
  change(change: Partial<Pick<DialogLayer, 'title' | 'body' | 'choices'>>): void;
};

/** The UI without its display: the state, and what keeps it up to date. Commands work on this. */
export class Ui {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly store: AppStore = createAppStore();
  readonly select: Selectors = createSelectors();
  readonly hostSelect: HostSelectors = createHostSelectors();
  readonly host: HostFeed;
  /** Why nothing may be changed, to follow "can't ...:"; null if it may. */
  readonly readOnly: string | null;
  readonly samples: SampleFeed;
  readonly consoles: ConsoleFeed;
  readonly screens: VmScreenFeed;
  readonly snapshots: SnapshotFeed;
  readonly networks: ScreenFeed;
  readonly images: ScreenFeed;
  readonly history = new CommandHistory();
  /** Input in the form for a new VM, until it is created. */
  newVm: FormValues = {};
  readonly networkChoices: () => NetworkChoices;
  readonly #picture: Picture;
  readonly #closing = new AbortController();
  readonly #begun = new Set<Promise<unknown>>();
  readonly #unsubscribe: () => void;
  #callOffNotice: () => void = () => {};
  #callOffRepaint: () => void = () => {};

  constructor(engine: Engine, picture: Picture, clock: Clock = systemClock, settings: UiSettings = {}) {
    this.engine = engine;
    this.readOnly = settings.readOnly ? 'this is a read-only session' : null;
    this.host = new HostFeed(
      settings.host ?? hostSource('/'),
      this.store,
      clock,
      this.hostSelect.functionAtCursor,
    );
    this.networkChoices = settings.networkChoices ?? (() => readNetworkChoices(new HostRoot()));
    this.clock = clock;
    this.#picture = picture;
    this.store.getState().vmsListed(engine.vms());
    this.store.getState().logListed(engine.log());
    this.#unsubscribe = engine.subscribe(event => this.#receive(event));
    this.samples = new SampleFeed(engine, this.store);
    this.consoles = new ConsoleFeed(engine, this.store, clock);
    this.screens = new VmScreenFeed(
      engine,
      this.store,
      clock,
      text => this.notify('error', text),
      picture.ofScreen ?? null,
    );
    this.snapshots = new SnapshotFeed(engine, this.store, clock);
    const { networksRead, networksFailed, imagesRead, imagesFailed } = this.store.getState();
    this.networks = new ScreenFeed(this.store, clock, {
      screen: 'networks',
      againMs: NETWORKS_AGAIN_MS,
      read: async () => {
        const found = await this.host.connection().client.call('networks', null);
        return () => networksRead(found, clock.now());
      },
      failed: networksFailed,
    });
    this.images = new ScreenFeed(this.store, clock, {
      screen: 'images',
      againMs: IMAGES_AGAIN_MS,
      read: async () => {
        const files = imageFilesOf(Object.values(this.store.getState().infos));
        const found = await this.host.connection().client.call('images', files);
        return () => imagesRead(found);
      },
      failed: imagesFailed,
    });
  }

  quit(): void {
    this.#picture.quit();
  }

  repaint(): void {
    this.#picture.repaint();
  }

  stop(): Promise<void> {
    return this.#picture.stop();
  }

  lend(use: () => Promise<void>): Promise<void> {
    return this.#picture.lend(use);
  }

  copy(text: string): void {
    this.#picture.copy(text);
  }

  resize(size: Size): void {
    this.#callOffRepaint();
    this.store.getState().resized(size);
    this.#callOffRepaint = this.clock.after(RESIZE_SETTLES_MS, () => this.repaint());
  }

  async close(): Promise<void> {
    this.#callOffRepaint();
    this.#callOffNotice();
    this.#unsubscribe();
    this.samples.close();
    this.consoles.close();
    this.screens.close();
    this.snapshots.close();
    this.networks.close();
    this.images.close();
    // The layers no longer wait for anything.
    this.store.setState({ layers: [] });
    this.#closing.abort(new Error('stopped, as vring ended'));
    await Promise.allSettled([...this.#begun]);
    await this.host.close();
  }

  /** Starts an operation that is canceled when the UI closes; closing waits for its end. */
  async begin<Result>(something: (closing: AbortSignal) => Promise<Result>): Promise<Result> {
    const begun = something(this.#closing.signal);
    this.#begun.add(begun);
    try {
      return await begun;
    } finally {
      this.#begun.delete(begun);
    }
  }

  /** Shows a message in the status line for a while. */
  notify(level: Notice['level'], text: string): void {
    if (this.#closing.signal.aborted) return;
    if (level === 'error' && width(text) > SHORT_CELLS)
      this.store.getState().noted({ at: this.clock.wall(), vm: null, level, text });
    this.#show(level, text);
  }

  /** The same for messages that are logged already. */
  #show(level: Notice['level'], text: string): void {
    this.#callOffNotice();
    this.store.getState().setNotice({ level, text: printable(text) });
    this.#callOffNotice = this.clock.after(NOTICE_MS[level], () => this.store.getState().setNotice(null));
  }

  clearNotice(): void {
    this.#callOffNotice();
    this.store.getState().setNotice(null);
  }

  /** Shows an operation's error in the status line. */
  async attempt(something: Promise<void>): Promise<void> {
    try {
      await something;
    } catch (error) {
      this.notify('error', (error as Error).message);
    }
  }

  /** Asks for confirmation; Cancel has the focus. */
  ask({ title, body, verb }: Question, confirm: () => void): void {
    this.choose(title, body, [{ label: 'Cancel' }, { label: verb, run: confirm }]);
  }

  /** Offers several choices, of which the first has the focus. The text may change while the dialog is open. */
  choose(title: string, body: string, choices: readonly Choice[]): OpenDialog {
    const ticket = Symbol();
    const isIt = (layer: Layer) => layer.kind === 'dialog' && layer.ticket === ticket;
    this.store.getState().pushLayer({ kind: 'dialog', ticket, title, body, choices, focus: 0, offset: 0 });
    return {
      isOpen: () => this.store.getState().layers.some(isIt),
      close: () => this.store.setState(({ layers }) => ({ layers: layers.filter(layer => !isIt(layer)) })),
      change: change =>
        this.store.setState(({ layers }) => ({
          layers: layers.map(layer => (isIt(layer) ? { ...(layer as DialogLayer), ...change } : layer)),
        })),
    };
  }

  /** Shows a text for reading. */
  read(title: string, lines: readonly string[]): void {
    const text = lines.flatMap(printableLines);
    this.store.getState().pushLayer({ kind: 'text', title: printable(title), lines: text, offset: 0 });
  }

  #receive(event: EngineEvent): void {
    const state = this.store.getState();
    if (event.kind === 'removed') this.#remove(event.id);
    if (event.kind === 'log') state.logged(event.entry);
    if (event.kind === 'log-rewritten') state.logListed(this.engine.log());
    if (event.kind === 'link') this.#follow(event.loss);
    if (event.kind !== 'vm') return;
    const before = own(state.infos, event.vm.id);
    state.vmChanged(event.vm);
    const vm = this.store.getState().infos[event.vm.id]!;
    if (before?.state !== vm.state && !isAlive(vm)) this.#reportEnd(vm);
    this.#followKeyboard(vm, before);
    const known = before === undefined ? [] : deviceTroubles(before);
    for (const trouble of deviceTroubles(vm)) {
      if (!known.includes(trouble)) this.#show('error', `${vm.name}: ${trouble}`);
    }
  }

  /** The cursor moves to the next VM of the list, not back to the first. */
  #remove(id: string): void {
    const state = this.store.getState();
    const visible = this.select.visibleVms(state);
    const row = this.select.cursorRow(state);
    if (visible[row] === id) state.selectVm(visible[row + 1] ?? visible[row - 1] ?? null);
    state.vmGone(id);
    state.vmRemoved(id);
  }

  #follow(loss: Loss | null): void {
    const state = this.store.getState();
    state.setManagerLost(loss);
    if (loss !== null) return;
    // Entries logged in the meantime were not received.
    state.logListed(this.engine.log());
    this.notify('info', 'reattached to the manager');
  }

  /** If another client takes the keyboard, leaves the console: further input would be lost. */
  #followKeyboard(vm: VmInfo, before: VmInfo | undefined): void {
    const state = this.store.getState();
    const { id, name } = vm;
    const port = shownPort(state, id);
    const holder = keyboardHolderOf(vm, port);
    if (before !== undefined && keyboardHolderOf(before, port) === holder) return;
    const typing = state.layers.some(layer => layer.kind === 'console' && layer.id === id);
    if (!typing || holder === null || holder === thisTerminal()) return;
    state.releaseConsole(id);
    this.notify('error', `${holder} has taken the keyboard of ${name}`);
  }

  #reportEnd(vm: VmInfo): void {
    this.store.getState().releaseConsole(vm.id);
    // The banner covers all of them.
    if (vm.interrupted) return;
    if (vm.state === 'crashed') this.#show('error', `${vm.name} crashed: ${vm.reason ?? 'no reason given'}`);
    else this.notify('info', `${vm.name} is off${vm.reason ? `: ${vm.reason}` : ''}`);
  }
}
