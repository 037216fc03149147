import type { HostUsage } from '../host-service/usage.ts';
import { appended } from './history.ts';
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
  /** Row of the cursor among the alarms. */
  readonly alarmCursor: number;

  usageRead(usage: HostUsage): void;
  setAlarmCursor(row: number): void;
};

export const createUsageSlice: SliceCreator<UsageSlice> = set => ({
  usage: null,
  usageHistory: { cpu: [], memory: [] },
  alarmCursor: 0,

  usageRead: usage =>
    set(({ usageHistory: { cpu, memory } }) => ({
      usage,
      usageHistory: { cpu: appended(cpu, usage.cpu), memory: appended(memory, memoryInUse(usage)) },
    })),
  setAlarmCursor: alarmCursor => set({ alarmCursor }),
});

/** Share of the memory that can't be had without swapping. */
export function memoryInUse({ vitals: { memory } }: HostUsage): number {
  return memory.totalBytes === 0 ? 0 : 1 - memory.availableBytes / memory.totalBytes;
}
