/**
 * What a device module of a user's imports as `vring/device`: the types of a device and of what its machine offers it, and
 * the parts that PCI devices are made of. docs/devices.md describes it.
 */

export type {
  AccessSize,
  Cancel,
  Clock,
  Device,
  DeviceState,
  EventLoop,
  InterruptLine,
  IoHandler,
  MachineRequest,
  MsiMessage,
  MsiVector,
  StateValue,
} from '../device.ts';
export type { DeviceMemory, WriteWatch } from '../device-memory.ts';
export type { BuiltDevice, DeviceFact, PortRange } from '../device-type.ts';
export { type GuestMemory, GuestMemoryError } from '../guest-memory.ts';
export type { MachineServices } from '../machine-services.ts';
export { Bar, type BarOptions } from '../pci/bar.ts';
export { Msix } from '../pci/msix.ts';
export { PciFunction, type PciIdentity } from '../pci/pci-function.ts';
export { bytesOf, DeviceStateError, numberOf, stateOf, statesOf } from '../state.ts';
export { type DeviceModule, defineDevice } from './device-module.ts';
export type { OptionSpec, OptionSpecs, OptionValues } from './options.ts';
