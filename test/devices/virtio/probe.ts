import { VirtioPci } from '../../../src/devices/virtio/transport-pci.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { type DriverQueue, GuestDriver, VERSION_1 } from './guest-driver.ts';
import { ProbeDevice } from './probe-device.ts';

/** Where `start` puts the rings. */
export const RINGS = 0x1000;

/** A ProbeDevice in a machine, and a driver for it. */
export class Probe {
  readonly machine: FakeMachine;
  readonly device: ProbeDevice;
  readonly transport: VirtioPci;
  readonly driver: GuestDriver;

  constructor(machine = new FakeMachine(), transportFeatures?: bigint) {
    this.machine = machine;
    this.device = new ProbeDevice(transportFeatures);
    this.transport = new VirtioPci(this.device, machine.services);
    machine.pci.plug(this.transport.function);
    machine.pci.assign();
    this.driver = new GuestDriver(machine, this.transport.function.place.slot);
  }

  /** Negotiates, enables both queues and writes DRIVER_OK. */
  start(features = VERSION_1): readonly [DriverQueue, DriverQueue] {
    const { driver } = this;
    driver.negotiate(features);
    const queues = [driver.queue(0, 64, RINGS), driver.queue(1, 8, RINGS + 0x1000)] as const;
    queues[0].enable();
    queues[1].enable();
    driver.driverOk();
    return queues;
  }
}
