import type { VmTotals } from '../engine/sampling/rates.ts';

/** Samples kept for sparklines. */
export const HISTORY_LENGTH = 120;

/** The last samples of a VM, oldest first. */
export type VmHistory = {
  readonly cpu: readonly number[];
  readonly exits: readonly number[];
  readonly requests: readonly number[];
};

export const EMPTY_HISTORY: VmHistory = { cpu: [], exits: [], requests: [] };

export function withSample(history: VmHistory, totals: VmTotals): VmHistory {
  return {
    cpu: append(history.cpu, totals.cpu),
    exits: append(history.exits, totals.exits),
    requests: append(history.requests, totals.requests),
  };
}

function append(series: readonly number[], value: number): readonly number[] {
  return [...series.slice(-(HISTORY_LENGTH - 1)), value];
}
