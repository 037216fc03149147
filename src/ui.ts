import { type Clock, systemClock } from './clock.ts';
import { ConsoleFeed } from './console/console-feed.ts';
import type { Engine, EngineEvent, VmInfo } from './engine/engine.ts';
import { isAlive } from './engine/vm-state.ts';
import { type AppStore, createAppStore } from './store/app-store.ts';
import { HostFeed } from './store/host-feed.ts';
import { createHostSelectors, type HostSelectors } from './store/host-selectors.ts';
import type { HostSource } from './store/host-source.ts';
import { hostSource } from './store/host-worker.ts';
import type { Question } from './store/layers.ts';
import { SampleFeed } from './store/sample-feed.ts';
import { createSelectors, type Selectors } from './store/selectors.ts';
import type { Notice, Size } from './store/ui-slice.ts';
import { printable } from './text/printable.ts';

/** How long a message stays in the status line. */
const NOTICE_MS = { info: 5000, error: 15_000 } as const;

/** Terminals report every step of a change of size; the picture is drawn anew after the last one. */
const RESIZE_SETTLES_MS = 60;

/** What shows the UI. */
export type Picture = {
  /** Takes it off the terminal. */
  quit(): void;
  /** Draws all of it, trusting nothing that is on the terminal. */
  repaint(): void;
};

export type UiSettings = {
  /** The host to show; this one when absent. */
  readonly host?: HostSource;
  /** Forbids whatever changes a VM or the host. */
  readonly readOnly?: boolean;
};

/** The UI without its picture: the state, and what keeps it up to date. Commands work on this. */
export class Ui {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly store: AppStore = createAppStore();
  readonly select: Selectors = createSelectors();
  readonly hostSelect: HostSelectors = createHostSelectors();
  readonly host: HostFeed;
  /** Why nothing may be changed, to follow "can't ...:"; null when it may. */
  readonly readOnly: string | null;
  readonly samples: SampleFeed;
  readonly consoles: ConsoleFeed;
  readonly #picture: Picture;
  readonly #unsubscribe: () => void;
  #callOffNotice: () => void = () => {};
  #callOffRepaint: () => void = () => {};

  constructor(engine: Engine, picture: Picture, clock: Clock = systemClock, settings: UiSettings = {}) {
    this.engine = engine;
    this.readOnly = settings.readOnly ? 'this is a read-only session' : null;
    this.host = new HostFeed(settings.host ?? hostSource('/'), this.store, this.hostSelect);
    this.clock = clock;
    this.#picture = picture;
    this.store.getState().vmsListed(engine.vms());
    this.store.getState().logListed(engine.log());
    this.#unsubscribe = engine.subscribe(event => this.#receive(event));
    this.samples = new SampleFeed(engine, this.store);
    this.consoles = new ConsoleFeed(engine, this.store, clock);
  }

  quit(): void {
    this.#picture.quit();
  }

  repaint(): void {
    this.#picture.repaint();
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
    await this.host.close();
  }

  /** Shows a message in the status line for a while. */
  notify(level: Notice['level'], text: string): void {
    this.#callOffNotice();
    this.store.getState().setNotice({ level, text: printable(text) });
    this.#callOffNotice = this.clock.after(NOTICE_MS[level], () => this.store.getState().setNotice(null));
  }

  clearNotice(): void {
    this.#callOffNotice();
    this.store.getState().setNotice(null);
  }

  /** Says in the status line what goes wrong with something that takes a while. */
  async attempt(something: Promise<void>): Promise<void> {
    try {
      await something;
    } catch (error) {
      this.notify('error', (error as Error).message);
    }
  }

  /** Has a question answered before something is done. The answer at hand is Cancel. */
  ask(question: Question, confirm: () => void): void {
    this.store.getState().pushLayer({ kind: 'dialog', question, button: 'cancel', confirm });
  }

  #receive(event: EngineEvent): void {
    const state = this.store.getState();
    if (event.kind === 'removed') {
      state.vmGone(event.id);
      state.vmRemoved(event.id);
    }
    if (event.kind === 'log') state.logged(event.entry);
    // What happened while the owner was out of reach was told to nobody.
    if (event.kind === 'link' && event.lost === null) state.logListed(this.engine.log());
    if (event.kind !== 'vm') return;
    const before = state.infos[event.vm.id];
    state.vmChanged(event.vm);
    const vm = this.store.getState().infos[event.vm.id]!;
    if (before?.state !== vm.state && !isAlive(vm)) this.#reportEnd(vm);
    for (const [device, reason] of Object.entries(vm.broken)) {
      if (before?.broken[device] !== reason)
        this.notify('error', `${vm.name}: ${device} is broken: ${reason}`);
    }
  }

  #reportEnd(vm: VmInfo): void {
    this.store.getState().releaseConsole(vm.id);
    if (vm.state === 'crashed') this.notify('error', `${vm.name} crashed: ${vm.reason ?? 'no reason given'}`);
    else this.notify('info', `${vm.name} is off${vm.reason ? `: ${vm.reason}` : ''}`);
  }
}
