import { closeHostDevices, closeWires, type OpenedHostDevice, type OpenedWire } from './machines/machine.ts';

/** Has the host give up the devices that a machine is to have. @throws with everything that keeps it from having them */
export type TakeHostDevices = (signal: AbortSignal) => Promise<readonly OpenedHostDevice[]>;

/** What a machine is to have of the host's from its start. Those who have it close it. */
export type TakenAtStart = {
  readonly hostDevices: readonly OpenedHostDevice[];
  readonly wires: readonly OpenedWire[];
};
export const NOTHING_TAKEN: TakenAtStart = { hostDevices: [], wires: [] };

/** Takes that. @throws why the VM cannot have it; nothing is taken then */
export type TakeAtStart = (signal: AbortSignal) => Promise<TakenAtStart>;

export function closeTaken({ hostDevices, wires }: TakenAtStart): void {
  closeHostDevices(hostDevices);
  closeWires(wires);
}
