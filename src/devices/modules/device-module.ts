import type { BuiltDevice } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import type { OptionSpecs, OptionValues } from './options.ts';

/** A device model that a user's file adds to the device table: the file's default export, made by `defineDevice`. */
export type DeviceModule<Specs extends OptionSpecs = OptionSpecs> = {
  /**
   * Its name in `-device` and in configurations: lowercase letters, digits and "-", and not the name of a built-in
   * type.
   */
  readonly type: string;
  /** A few words, for lists. */
  readonly title: string;
  /** One sentence, without its period. */
  readonly description: string;
  /** The bus that it connects to. */
  readonly bus: 'pci' | 'isa';
  /** The prefix of default names, `tick` for `tick0`; default: the type. */
  readonly prefix?: string;
  readonly options?: Specs;
  /**
   * Makes one device. A device on `pci` returns its `pci` function, one on `isa` its `ports`.
   * @throws an error for the user if options cannot be combined
   */
  create(services: MachineServices, options: OptionValues<Specs>, name: string): BuiltDevice;
};

/** Type-checks a device module. */
export function defineDevice<const Specs extends OptionSpecs>(
  module: DeviceModule<Specs>,
): DeviceModule<Specs> {
  return module;
}
