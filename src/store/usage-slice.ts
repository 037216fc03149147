import type { HostUsage } from '../host-service/usage.ts';
import { appended } from './history.ts';
import type { ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

export type UsageSlice = {
  /** The host's, as it was taken last; null before it has been. */
  readonly usage: HostUsage | null;
  readonly usageHistory: {
    /** Share of all CPUs in use. */
    readonly cpu: readonly number[];
    /** Share of the memory in use. */
    readonly memory: readonly number[];
  };
  /** Of the overview; null: on its first row. */
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

/** Share of the memory that can't be had without swapping. */
export function memoryInUse({ vitals: { memory } }: HostUsage): number {
  return memory.totalBytes === 0 ? 0 : 1 - memory.availableBytes / memory.totalBytes;
}
