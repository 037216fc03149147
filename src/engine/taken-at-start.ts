import { closeHostDevices, closeWires, type OpenedHostDevice, type OpenedWire } from './machines/machine.ts';

/** Takes the host devices that a machine needs. @throws with everything that keeps it from having them */
export type TakeHostDevices = (signal: AbortSignal) => Promise<readonly OpenedHostDevice[]>;

/** A machine's host resources from its start. The holder closes them. */
export type TakenAtStart = {
  readonly hostDevices: readonly OpenedHostDevice[];
  readonly wires: readonly OpenedWire[];
};
export const NOTHING_TAKEN: TakenAtStart = { hostDevices: [], wires: [] };

/** Takes them. @throws why the VM cannot have them, with nothing taken */
export type TakeAtStart = (signal: AbortSignal) => Promise<TakenAtStart>;

export function closeTaken({ hostDevices, wires }: TakenAtStart): void {
  closeHostDevices(hostDevices);
  closeWires(wires);
}
