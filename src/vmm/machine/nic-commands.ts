import type { BuiltDevice, NicControl } from '../../devices/device-type.ts';
import type { MachineCommands } from './messages.ts';

type Arguments<Name extends 'set-link' | 'limit-nic'> = MachineCommands[Name]['arguments'];

/** Connects or disconnects the cable of a network card. @throws an error for the user */
export function setLink(devices: readonly BuiltDevice[], { device, up }: Arguments<'set-link'>): void {
  nicOf(devices, device).setLink(up);
}

/** Limits the rates of a network card. @throws an error for the user */
export function limitNic(devices: readonly BuiltDevice[], { device, limits }: Arguments<'limit-nic'>): void {
  nicOf(devices, device).setLimits(limits);
}

function nicOf(devices: readonly BuiltDevice[], name: string): NicControl {
  const nic = devices.find(({ device }) => device.name === name)?.capabilities?.nic;
  if (nic !== undefined) return nic;
  const nics = devices.filter(({ capabilities }) => capabilities?.nic).map(({ device }) => device.name);
  throw new Error(
    `no network card is named "${name}": ${nics.length === 0 ? 'the VM has none' : `it is one of ${nics.join(', ')}`}`,
  );
}
