import type { QueueLoads } from './queue-load.ts';
import type { VmDetail, VmTotals } from './rates.ts';

export type SamplingSettings = {
  /** Milliseconds between samples. */
  readonly intervalMs: number;
  readonly paused: boolean;
  /** The VM that is sampled in detail. */
  readonly detailOf: string | null;
  /** Sample the queues of all VMs, too; default: no. */
  readonly queues?: boolean;
};

export type Sample = {
  /** Milliseconds since 1970. Unchanged if only the details or queues have changed. */
  readonly at: number;
  /** Of the running VMs. */
  readonly totals: Readonly<Record<string, VmTotals>>;
  readonly detail: { readonly id: string; readonly rates: VmDetail } | null;
  /** Null if not requested. */
  readonly queues: QueueLoads | null;
};

export interface Sampling {
  configure(change: Partial<SamplingSettings>): void;
  /** Restarts all totals from each VM's last sample. */
  resetTotals(): void;
  close(): void;
}
