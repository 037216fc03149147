import type { Clock } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import { own } from '../text/own.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen } from './ui-slice.ts';
import { vmViewOf } from './vm-view-slice.ts';

/** Whether a snapshot fits may change at any time: a disk is written, a file removed. */
const AGAIN_MS = 5000;

/** Keeps the list of snapshots in the store while a VM's screen shows it. */
export class SnapshotFeed {
  readonly #engine: Pick<Engine, 'snapshots'>;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #vm: string | null = null;
  #callOff: () => void = () => {};
  /** Counts the requests: answers to earlier ones are outdated. */
  #request = 0;

  constructor(engine: Pick<Engine, 'snapshots'>, store: AppStore, clock: Clock) {
    this.#engine = engine;
    this.#store = store;
    this.#clock = clock;
    this.#unsubscribe = store.subscribe((state, before) => this.#follow(state, before));
  }

  close(): void {
    this.#unsubscribe();
    this.#request++;
    this.#callOff();
  }

  #follow(state: AppState, before: AppState): void {
    const vm = shownVm(state);
    if (vm !== this.#vm) {
      this.#vm = vm;
      this.#callOff();
      if (state.snapshots !== null) state.snapshotsListed(null);
      if (vm !== null) void this.#list(vm);
    } else if (vm !== null && storedOf(state, vm) !== storedOf(before, vm)) {
      this.#callOff();
      void this.#list(vm);
    }
  }

  async #list(vm: string): Promise<void> {
    const request = ++this.#request;
    const listed = await this.#engine.snapshots(vm, { check: false }).then(
      list => ({ vm, list, problem: null }),
      (error: Error) => ({ vm, list: [], problem: error.message }),
    );
    if (request !== this.#request || this.#vm !== vm) return;
    this.#store.getState().snapshotsListed(listed);
    this.#callOff = this.#clock.after(AGAIN_MS, () => void this.#list(vm));
  }
}

/** The VM whose snapshots are shown. */
function shownVm(state: AppState): string | null {
  const screen = currentScreen(state);
  return screen.kind === 'vm' && vmViewOf(state, screen.id).tab === 'snapshots' ? screen.id : null;
}

/** The engine's facts about them, for comparison. */
function storedOf({ infos }: AppState, id: string): string {
  const vm = own(infos, id);
  return JSON.stringify([vm?.snapshots ?? [], vm?.saved ?? null]);
}
