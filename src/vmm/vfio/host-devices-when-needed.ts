import type { HostDevice, HostDevices } from '../../devices/vfio/host-device.ts';
import type { GivenDevice } from './given-devices.ts';
import type { MachineHostDevices } from './machine-host-devices.ts';

/** The host devices of a machine. Their infrastructure is created for the first one: most machines have none. */
export class HostDevicesWhenNeeded
  implements HostDevices, Pick<MachineHostDevices, 'give' | 'prepare' | 'release' | 'checkGiven'>
{
  readonly #make: () => MachineHostDevices;
  #made: MachineHostDevices | null = null;

  constructor(make: () => MachineHostDevices) {
    this.#make = make;
  }

  give(devices: readonly GivenDevice[]): void {
    if (devices.length > 0) this.#devices.give(devices);
  }

  prepare(addresses: readonly string[], done: (failure: Error | null) => void): void {
    this.#devices.prepare(addresses, done);
  }

  open(address: string): HostDevice {
    return this.#devices.open(address);
  }

  release(addresses: readonly string[]): void {
    this.#made?.release(addresses);
  }

  checkGiven(): void {
    this.#made?.checkGiven();
  }

  get #devices(): MachineHostDevices {
    this.#made ??= this.#make();
    return this.#made;
  }
}
