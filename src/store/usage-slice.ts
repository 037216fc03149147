import type { HostUsage } from '../host-service/usage.ts';
import { appended } from './history.ts';
import type { ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

export type UsageSlice = {
  /** The host's, as last sampled; null before the first sample. */
  readonly usage: HostUsage | null;
  readonly usageHistory: {
    /** Share of all CPUs in use. */
    readonly cpu: readonly number[];
    /** Share of the memory in use. */
    readonly memory: readonly number[];
  };
  /** In the overview; null for its first row. */
  readonly overviewCursor: ListCursor | null;

  usageRead(usage: HostUsage): void;
  setOverviewCursor(cursor: ListCursor): void;
};

export const createUsageSlice: SliceCreator<UsageSlice> = set => ({
  usage: null,
  usageHistory: { cpu: [], memory: [] },
  overviewCursor: null,

  usageRead: usage =>
    set(({ usageHistory: { cpu, memory } }) => ({
      usage,
      usageHistory: { cpu: appended(cpu, usage.cpu), memory: appended(memory, memoryInUse(usage)) },
    })),
  setOverviewCursor: overviewCursor => set({ overviewCursor }),
});

/** The share of memory that is not available without swapping. */
export function memoryInUse({ vitals: { memory } }: HostUsage): number {
  return memory.totalBytes === 0 ? 0 : 1 - memory.availableBytes / memory.totalBytes;
}
