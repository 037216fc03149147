import type { DeviceConfig } from '../devices/device-table.ts';
import { checkDevice } from './device-check.ts';
import { type NicInput, nics } from './fields/nics.ts';
import { nicEntry } from './wanted-devices.ts';
import { andList } from './words.ts';

/** The device that a card becomes. @throws an error for the user if this version has none */
export function nicDevice(input: NicInput, what: string): DeviceConfig {
  const [nic] = nics.parse([input]);
  const checked = checkDevice(nicEntry(nic!));
  if ('device' in checked) return checked.device;
  const { model } = nic!;
  const lacks =
    checked.missing === 'type'
      ? `${model} network cards`
      : `${model} network cards with ${andList(checked.options)}`;
  throw new Error(`this version of vring does not support ${lacks} (${what})`);
}
