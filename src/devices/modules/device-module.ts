import type { BuiltDevice } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import type { OptionSpecs, OptionValues } from './options.ts';

/** A device model that a user's file adds to the device table: the file's default export, made by `defineDevice`. */
export type DeviceModule<Specs extends OptionSpecs = OptionSpecs> = {
  /** Its name in `-device` and in configurations: lowercase letters, digits and "-", and no name that vring has. */
  readonly type: string;
  /** A few words, for lists. */
  readonly title: string;
  /** One sentence, without its full stop. */
  readonly description: string;
  /** What it is connected to. */
  readonly bus: 'pci' | 'isa';
  /** The prefix of default names, `tick` for `tick0`; the type if absent. */
  readonly prefix?: string;
  readonly options?: Specs;
  /**
   * Makes one device. A device on `pci` returns its `pci` function, one on `isa` its `ports`.
   * @throws an error for the user, for options that do not go together
   */
  create(services: MachineServices, options: OptionValues<Specs>, name: string): BuiltDevice;
};

/** Checks the types of a device module. */
export function defineDevice<const Specs extends OptionSpecs>(
  module: DeviceModule<Specs>,
): DeviceModule<Specs> {
  return module;
}
