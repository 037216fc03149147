import type { QueueLoads } from './queue-load.ts';
import type { VmDetail, VmTotals } from './rates.ts';

export type SamplingSettings = {
  /** Milliseconds between samples. */
  readonly intervalMs: number;
  readonly paused: boolean;
  /** The VM that is sampled in detail. */
  readonly detailOf: string | null;
  /** The queues of all VMs are sampled, too; not when absent. */
  readonly queues?: boolean;
};

export type Sample = {
  /** Milliseconds since 1970. The same as the last one's when only the details or queues have changed. */
  readonly at: number;
  /** Of the VMs that run. */
  readonly totals: Readonly<Record<string, VmTotals>>;
  readonly detail: { readonly id: string; readonly rates: VmDetail } | null;
  /** Null where they are not asked for. */
  readonly queues: QueueLoads | null;
};

export interface Sampling {
  configure(change: Partial<SamplingSettings>): void;
  /** Totals of every VM count from its last sample on. */
  resetTotals(): void;
  close(): void;
}
