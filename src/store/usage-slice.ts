import type { StateCreator } from 'zustand/vanilla';
import type { HostPulse } from '../host-service/usage.ts';
import type { AppState } from './app-store.ts';
import { appended } from './history.ts';

export type PulseSlice = {
  /** The host's, as it was taken last; null before it has been. */
  readonly pulse: HostPulse | null;
  readonly pulseHistory: {
    /** Share of all CPUs in use. */
    readonly cpu: readonly number[];
    /** Share of the memory in use. */
    readonly memory: readonly number[];
  };
  /** Row of the cursor among the alarms. */
  readonly alarmCursor: number;

  pulseTaken(pulse: HostPulse): void;
  setAlarmCursor(row: number): void;
};

export const createPulseSlice: StateCreator<AppState, [], [], PulseSlice> = set => ({
  pulse: null,
  pulseHistory: { cpu: [], memory: [] },
  alarmCursor: 0,

  pulseTaken: pulse =>
    set(({ pulseHistory: { cpu, memory } }) => ({
      pulse,
      pulseHistory: { cpu: appended(cpu, pulse.cpu), memory: appended(memory, memoryInUse(pulse)) },
    })),
  setAlarmCursor: alarmCursor => set({ alarmCursor }),
});

/** Share of the memory that can't be had without swapping. */
export function memoryInUse({ vitals: { memory } }: HostPulse): number {
  return memory.totalBytes === 0 ? 0 : 1 - memory.availableBytes / memory.totalBytes;
}
