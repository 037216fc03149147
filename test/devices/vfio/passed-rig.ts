import * as z from 'zod';
import type { AccessSize } from '../../../src/devices/device.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import type { PassedDevice } from '../../../src/devices/vfio/passed-device.ts';
import { vfioPci } from '../../../src/devices/vfio/vfio-pci.ts';
import {
  type FakeHostDevice,
  type RecordedDevice,
  type RecordedName,
  recordedDevice,
} from '../../support/fake-host-device.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

export const COMMAND = {
  register: 0x04,
  io: 0x1,
  memory: 0x2,
  busMaster: 0x4,
  interruptDisable: 0x400,
} as const;

/** A recorded device in a machine without KVM, as seen by its guest and the host. */
export class PassedRig {
  readonly machine: FakeMachine;
  readonly built: BuiltDevice;
  readonly device: PassedDevice;

  /**
   * @param place where it is plugged in; on bus 0 if absent @param prepare what the host's device is before it is opened
   */
  constructor(
    recorded: RecordedName | RecordedDevice,
    options: Readonly<Record<string, unknown>> = {},
    {
      machine = new FakeMachine(),
      name = 'hostdev0',
      place,
      prepare,
    }: {
      machine?: FakeMachine;
      name?: string;
      place?: (built: BuiltDevice) => void;
      prepare?: (device: FakeHostDevice) => void;
    } = {},
  ) {
    this.machine = machine;
    const device = typeof recorded === 'string' ? recordedDevice(recorded) : recorded;
    machine.hostDevices.added.push(device);
    if (prepare !== undefined) machine.hostDevices.prepare.set(device.address, prepare);
    const config = vfioPci.config(z).parse({ type: 'vfio-pci', host: device.address, ...options });
    this.built = vfioPci.create(machine.services, config, name);
    this.device = this.built.device as PassedDevice;
    if (place === undefined) machine.chipset.attach({ type: vfioPci, built: this.built });
    else place(this.built);
    machine.pci.assign();
  }

  get fn() {
    return this.device.function;
  }

  get host(): FakeHostDevice {
    return this.device.host as FakeHostDevice;
  }

  get command(): number {
    return this.fn.readConfig(COMMAND.register, 2);
  }

  set command(value: number) {
    this.fn.writeConfig(COMMAND.register, 2, value);
  }

  /** Enables memory decoding and bus mastering, like a guest's driver. */
  start(): void {
    this.command |= COMMAND.memory | COMMAND.busMaster;
  }

  /** Offset of a capability in the guest's list; null without. */
  capability(id: number): number | null {
    return this.capabilities.find(capability => capability.id === id)?.at ?? null;
  }

  /** The guest's list, as its driver walks it. */
  get capabilities(): { readonly id: number; readonly at: number }[] {
    const list: { id: number; at: number }[] = [];
    for (let at = this.fn.readConfig(0x34, 1); at !== 0; at = this.fn.readConfig(at + 1, 1)) {
      list.push({ id: this.fn.readConfig(at, 1), at });
      if (list.length > 48) throw new Error('the list of capabilities has no end');
    }
    return list;
  }

  get extendedCapabilities(): { readonly id: number; readonly at: number }[] {
    const list: { id: number; at: number }[] = [];
    for (let at = 0x100; at !== 0; ) {
      const header = this.fn.readConfig(at, 4);
      if (header === 0) break;
      list.push({ id: header & 0xffff, at });
      at = header >>> 20;
      if (list.length > 960) throw new Error('the list of extended capabilities has no end');
    }
    return list;
  }

  bar(index: number) {
    return this.fn.bars.find(bar => bar.index === index)!;
  }

  /** A guest's access to a BAR. */
  read(index: number, offset: number, size: AccessSize = 4): number {
    return this.#space(index).read(this.bar(index).address! + offset, size);
  }

  write(index: number, offset: number, value: number, size: AccessSize = 4): void {
    this.#space(index).write(this.bar(index).address! + offset, size, value);
  }

  /** What the guest reaches without an exit: [offset in the region, bytes], by BAR. */
  mapped(index: number): [number, number][] {
    const { address, size } = this.bar(index);
    if (address === null) return [];
    return this.machine.memoryBus.memory.spans
      .filter(span => span.address >= address && span.address < address + size)
      .map(span => [span.address - address, span.size]);
  }

  #space(index: number) {
    return this.bar(index).space === 'port' ? this.machine.ports : this.machine.memoryBus;
  }
}
