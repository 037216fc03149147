import type { Engine } from '../engine/engine.ts';
import type { Sampling, SamplingSettings } from '../engine/sampling/sampling.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen } from './ui-slice.ts';

/** Fills the store with samples, at the user's interval, and in detail for the VM on screen. */
export class SampleFeed {
  readonly #store: AppStore;
  readonly #sampling: Sampling;
  readonly #unsubscribe: () => void;

  constructor(engine: Engine, store: AppStore) {
    this.#store = store;
    this.#sampling = engine.sampling(settingsOf(store.getState()), sample =>
      store.getState().sampled(sample),
    );
    this.#unsubscribe = store.subscribe((state, before) => {
      if (state.sampling !== before.sampling || state.screens !== before.screens) this.#follow();
    });
  }

  resetTotals(): void {
    this.#sampling.resetTotals();
  }

  close(): void {
    this.#unsubscribe();
    this.#sampling.close();
  }

  #follow(): void {
    this.#sampling.configure(settingsOf(this.#store.getState()));
  }
}

function settingsOf(state: AppState): SamplingSettings {
  const screen = currentScreen(state);
  return {
    ...state.sampling,
    detailOf: screen.kind === 'vm' ? screen.id : null,
    queues: screen.kind === 'queues',
  };
}
