import type { AnyConfigurable, DeviceConfig } from '../device-table.ts';
import { type BuiltDevice, DEVICE_NAME, deviceFields } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import type { Zod } from '../zod.ts';
import type { DeviceModule } from './device-module.ts';
import { OptionError, optionsProblem, readOptions } from './options.ts';

/** A file that is not a device module; the message says what is wrong with it. */
export class ModuleError extends Error {
  override readonly name = 'ModuleError';
}

const BUSES = ['pci', 'isa'];

/**
 * The row of the device table that a device module adds.
 * @param exported the default export of its file. @throws ModuleError
 */
export function moduleRow(exported: unknown, file: string): AnyConfigurable {
  const module = checked(exported, file);
  const { type, title, description, bus, prefix = type, options = {} } = module;
  return {
    type,
    title,
    description,
    bus,
    prefix,
    qemu: {
      devices: [type],
      properties: Object.fromEntries(Object.keys(options).map(name => [name, name])),
    },
    config: (zod: Zod) => zod.looseObject(deviceFields(zod, type)),
    create: (services: MachineServices, entry: DeviceConfig, name: string) => {
      const { type: _, name: given, bus: where, addr, ...own } = entry;
      return complete(module, module.create(services, valuesOf(module, own), name), file);
    },
  };
}

function valuesOf(module: DeviceModule, entry: Readonly<Record<string, unknown>>) {
  try {
    return readOptions(module.options ?? {}, entry);
  } catch (error) {
    throw error instanceof OptionError ? new OptionError(`${module.type}: ${error.message}`) : error;
  }
}

/** @throws ModuleError */
function checked(exported: unknown, file: string): DeviceModule {
  const wrong = (problem: string) => new ModuleError(`${file} is not a device module: ${problem}`);
  if (typeof exported !== 'object' || exported === null)
    throw wrong('its default export must be the result of defineDevice({ ... })');
  const {
    type,
    title,
    description,
    bus,
    prefix = type,
    options = {},
    create,
  } = exported as Record<string, unknown>;
  for (const [key, value] of Object.entries({ type, title, description }))
    if (typeof value !== 'string' || value === '') throw wrong(`"${key}" must be a text`);
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(String(type)))
    throw wrong(`"type" must have lowercase letters, digits and "-" only, at most 32`);
  if (!DEVICE_NAME.pattern.test(`${prefix}0`)) throw wrong(`"prefix" must be such that ${DEVICE_NAME.rule}`);
  if (!BUSES.includes(String(bus))) throw wrong(`"bus" must be one of ${BUSES.join(', ')}`);
  const problem = optionsProblem(options);
  if (problem !== null) throw wrong(problem);
  if (typeof create !== 'function') throw wrong('"create" must be a function');
  return exported as DeviceModule;
}

/** @throws ModuleError for a device that the machine cannot use */
function complete({ type, bus }: DeviceModule, built: BuiltDevice, file: string): BuiltDevice {
  const wrong = (problem: string) => new ModuleError(`${file}: create() of ${type} ${problem}`);
  if (typeof built?.device?.reset !== 'function') throw wrong('must return { device, ... }');
  const { save, load } = built.device;
  if (typeof save !== 'function' || typeof load !== 'function')
    throw wrong('returned a device without save() or load()');
  if (bus === 'pci' && built.pci === undefined) throw wrong('must return its PCI function as "pci"');
  if (bus === 'isa' && built.ports === undefined) throw wrong('must return its port ranges as "ports"');
  return built;
}
