/**
 * The API that a user's device module imports as `vring/device`: the types of a device and of its machine's services,
 * and the building blocks of PCI devices. See docs/devices.md.
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
