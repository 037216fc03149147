import type { StateCreator } from 'zustand/vanilla';
import type { AppState } from './app-store.ts';

/** Milliseconds between samples, from which the user chooses. */
export const INTERVALS: readonly number[] = [1000, 500, 200, 100, 5000, 2000];

export type SamplingSlice = {
  readonly sampling: { readonly paused: boolean; readonly intervalMs: number };
  setSampling(change: Partial<SamplingSlice['sampling']>): void;
};

export const createSamplingSlice: StateCreator<AppState, [], [], SamplingSlice> = set => ({
  sampling: { paused: false, intervalMs: 1000 },
  setSampling: change => set(state => ({ sampling: { ...state.sampling, ...change } })),
});
