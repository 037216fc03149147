import type { SliceCreator } from './slice.ts';

/** The sampling intervals in milliseconds that the user can choose from. */
export const INTERVALS: readonly number[] = [1000, 500, 200, 100, 5000, 2000];

export type SamplingSlice = {
  readonly sampling: { readonly paused: boolean; readonly intervalMs: number };
  setSampling(change: Partial<SamplingSlice['sampling']>): void;
};

export const createSamplingSlice: SliceCreator<SamplingSlice> = set => ({
  sampling: { paused: false, intervalMs: 1000 },
  setSampling: change => set(state => ({ sampling: { ...state.sampling, ...change } })),
});
