import type { VmTotals } from '../engine/sampling/rates.ts';
import type { Sample } from '../engine/sampling/sampling.ts';
import { vcpuRows } from './vcpu-rows.ts';

/** Samples kept for sparklines. */
export const HISTORY_LENGTH = 120;

/** The last samples of a VM, oldest first. */
export type VmHistory = {
  readonly cpu: readonly number[];
  readonly exits: readonly number[];
  readonly requests: readonly number[];
};

export const EMPTY_HISTORY: VmHistory = { cpu: [], exits: [], requests: [] };

export function withSample(history: VmHistory, totals: Pick<VmTotals, keyof VmHistory>): VmHistory {
  return {
    cpu: appended(history.cpu, totals.cpu),
    exits: appended(history.exits, totals.exits),
    requests: appended(history.requests, totals.requests),
  };
}

/** The last samples of the VM that is sampled in detail. */
export type DetailHistory = {
  readonly id: string | null;
  /** Exits per second by the label of the vCPU's row. */
  readonly vcpus: Readonly<Record<string, readonly number[]>>;
};

export const NO_DETAIL_HISTORY: DetailHistory = { id: null, vcpus: {} };

export function withDetail(history: DetailHistory, detail: Sample['detail']): DetailHistory {
  if (detail === null) return NO_DETAIL_HISTORY;
  const before = detail.id === history.id ? history.vcpus : {};
  const series = vcpuRows(detail.rates).map(({ label, vcpu }) => [
    label,
    appended(before[label] ?? [], vcpu.exitsPerSecond),
  ]);
  return { id: detail.id, vcpus: Object.fromEntries(series) };
}

/** A series with one more sample, and without the oldest if it is full. */
export function appended(series: readonly number[], value: number): readonly number[] {
  return [...series.slice(-(HISTORY_LENGTH - 1)), value];
}
