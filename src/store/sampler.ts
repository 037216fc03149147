import type { Clock } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import { type VmTotals, vmDetail, vmTotals } from '../engine/sampling/rates.ts';
import { comparable, type Snapshot, takeSnapshot } from '../engine/sampling/snapshot.ts';
import { Window } from '../engine/sampling/window.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen } from './ui-slice.ts';
import { isAlive } from './vm-state.ts';
import type { VmsSlice } from './vms-slice.ts';

/** How soon after the start, or after a VM has begun to run, there are rates to show. */
const FIRST_SAMPLE_MS = 250;

/** CPU times are compared over this long at least. */
const CPU_WINDOW_MS = 1000;

/**
 * Fills the store with rates: copies the counters of every running VM now and then, and compares each copy with the
 * one before. Only the VM whose screen is open is looked at in detail.
 */
export class Sampler {
  readonly #engine: Engine;
  readonly #store: AppStore;
  readonly #clock: Clock;
  /** The last copies of each VM's counters, oldest first: between the last two are the rates that are shown. */
  readonly #snapshots = new Map<string, readonly Snapshot[]>();
  /** Where the totals of each VM count from; none: from its start. */
  readonly #baselines = new Map<string, Snapshot>();
  #callOff: () => void = () => {};
  #unsubscribe: () => void = () => {};

  constructor(engine: Engine, store: AppStore, clock: Clock) {
    this.#engine = engine;
    this.#store = store;
    this.#clock = clock;
  }

  start(): void {
    this.#beginAgain();
    this.#unsubscribe = this.#store.subscribe((state, before) => {
      if (state.sampling !== before.sampling || startedToRun(state, before)) this.#beginAgain();
      if (state.screens !== before.screens) this.#showDetail();
    });
  }

  stop(): void {
    this.#unsubscribe();
    this.#callOff();
  }

  /** Totals of every VM count from its last sample on. */
  resetBaselines(): void {
    for (const [id, snapshots] of this.#snapshots) this.#baselines.set(id, snapshots.at(-1)!);
    this.#showDetail();
  }

  /** A fresh copy now, rates soon after it. */
  #beginAgain(): void {
    this.#callOff();
    if (this.#store.getState().sampling.paused) return;
    this.#copyAll();
    this.#next(FIRST_SAMPLE_MS);
  }

  #next(ms: number): void {
    this.#callOff = this.#clock.after(ms, () => this.#sample());
  }

  #sample(): void {
    this.#copyAll();
    const state = this.#store.getState();
    const totals: Record<string, VmTotals> = {};
    for (const id of state.order) {
      const window = this.#window(id);
      const vm = state.infos[id]!;
      if (window && isAlive(vm)) totals[id] = vmTotals(window, vm.topology);
    }
    state.sampled({ at: this.#clock.wall(), totals, detail: this.#detail() });
    this.#next(state.sampling.intervalMs);
  }

  /** Copies the counters of the VMs that run, and of the one that is shown. */
  #copyAll(): void {
    const { order, infos } = this.#store.getState();
    const shown = this.#shownVm();
    for (const id of this.#snapshots.keys()) if (!(id in infos)) this.#forget(id);
    for (const id of order) if (id === shown || isAlive(infos[id]!)) this.#copy(id);
  }

  #copy(id: string): void {
    const now = takeSnapshot(this.#engine, id, this.#clock.now());
    if (now === null) {
      this.#forget(id);
      return;
    }
    if (this.#baselines.get(id)?.source !== now.source) this.#baselines.delete(id);
    const before = (this.#snapshots.get(id) ?? []).filter(snapshot => comparable(snapshot, now));
    const oldest = before.findLastIndex(snapshot => now.at - snapshot.at >= CPU_WINDOW_MS);
    this.#snapshots.set(id, [...before.slice(Math.max(0, oldest)), now]);
  }

  #forget(id: string): void {
    this.#snapshots.delete(id);
    this.#baselines.delete(id);
  }

  /** What the last two copies say; null before there are two. */
  #window(id: string): Window | null {
    const snapshots = this.#snapshots.get(id) ?? [];
    const [before, after] = snapshots.slice(-2);
    if (before === undefined || after === undefined) return null;
    return new Window(before, after, { baseline: this.#baselines.get(id), cpuBefore: snapshots[0] });
  }

  #shownVm(): string | null {
    const screen = currentScreen(this.#store.getState());
    return screen.kind === 'vm' ? screen.id : null;
  }

  #detail(): VmsSlice['detail'] {
    const id = this.#shownVm();
    const window = id === null ? null : this.#window(id);
    if (id === null || window === null) return null;
    const topology = this.#store.getState().infos[id]?.topology ?? null;
    return { id, rates: vmDetail(window, topology) };
  }

  /** The details of the last sample at once, when another screen has been opened. */
  #showDetail(): void {
    this.#store.setState({ detail: this.#detail() });
  }
}

function startedToRun(state: AppState, before: AppState): boolean {
  if (state.infos === before.infos) return false;
  return Object.values(state.infos).some(
    vm => vm.state === 'running' && before.infos[vm.id]?.state !== 'running',
  );
}
