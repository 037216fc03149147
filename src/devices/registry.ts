import type * as z from 'zod';
import type { BuiltDevice, BuiltinType, ConfigurableType, DeviceType, Zod } from './device-type.ts';
import { acpiPm } from './legacy/acpi-pm.ts';
import { debugConsole, debugExit, isaDebugExit, postCode } from './legacy/debug-ports.ts';
import { i8042 } from './legacy/i8042.ts';
import { rtc } from './legacy/rtc.ts';
import { com1 } from './legacy/serial.ts';
import type { MachineServices } from './machine-services.ts';
import { virtioBlk } from './virtio/blk.ts';
import { virtioRng } from './virtio/rng.ts';

/** The devices that a configuration may list, one line each. */
const configurable = [virtioBlk, virtioRng, isaDebugExit] as const;

/** The devices that every machine has, one line each. */
export const builtinDevices: readonly BuiltinType[] = [
  com1,
  rtc,
  i8042,
  acpiPm,
  postCode,
  debugConsole,
  debugExit,
];

/** The builtin devices of a machine with these configured devices, which may replace some. */
export function builtinDevicesBeside(configs: readonly DeviceConfig[]): BuiltinType[] {
  const replaced = new Set(configs.map(config => deviceTypeOf(config).replaces));
  return builtinDevices.filter(({ type }) => !replaced.has(type));
}

/** Every device model: what `vring devices` lists. */
export const deviceTable: readonly (DeviceType & { readonly builtin?: boolean })[] = [
  ...builtinDevices,
  ...configurable,
];

type Schema = ReturnType<(typeof configurable)[number]['config']>;

/** One entry of a configuration's `devices`. */
export type DeviceConfig = z.output<Schema>;

/** The schemas of the devices that a configuration may list. */
export function deviceSchemas(zod: Zod): [Schema, ...Schema[]] {
  return configurable.map(row => row.config(zod)) as [Schema, ...Schema[]];
}

/** The devices' names: the configured ones, and `blk0`, `blk1` ... for the others. */
export function deviceNames(configs: readonly DeviceConfig[]): string[] {
  const taken = new Set<string>();
  for (const { name } of configs) {
    if (name === undefined) continue;
    if (taken.has(name)) throw new Error(`two devices are named "${name}": rename one`);
    taken.add(name);
  }
  return configs.map(config => {
    if (config.name !== undefined) return config.name;
    const { prefix } = deviceTypeOf(config);
    for (let index = 0; ; index++) {
      const name = `${prefix}${index}`;
      if (taken.has(name)) continue;
      taken.add(name);
      return name;
    }
  });
}

/** Creates a configured device. @throws an error for the user */
export function createDevice(services: MachineServices, config: DeviceConfig, name: string): BuiltDevice {
  return deviceTypeOf(config).create(services, config, name);
}

/** The registration of a configured device. */
export function deviceTypeOf(config: DeviceConfig): ConfigurableType {
  return (configurable as readonly ConfigurableType[]).find(row => row.type === config.type)!;
}
