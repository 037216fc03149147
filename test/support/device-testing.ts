/**
 * What the tests of a device module import as `vring/device/testing`: a machine without a CPU, into which a device is
 * plugged and which a test drives as a guest would.
 */
import type { AccessSize, Device } from '../../src/devices/device.ts';
import type { DeviceModule } from '../../src/devices/modules/device-module.ts';
import { moduleRow } from '../../src/devices/modules/module-row.ts';
import type { OptionSpecs } from '../../src/devices/modules/options.ts';
import type { PciFunction } from '../../src/devices/pci/pci-function.ts';
import { FakeMachine } from './fake-machine.ts';

/** A machine without a CPU. Its clock only moves when the test moves it: `clock.advance(ms)`. */
export class TestMachine extends FakeMachine {
  #added = 0;

  /** Plugs in a device of a module with these options, and assigns its addresses as firmware does. */
  add<Specs extends OptionSpecs>(
    module: DeviceModule<Specs>,
    options: Readonly<Record<string, unknown>> = {},
  ): TestDevice {
    const row = moduleRow(module, 'the device module');
    const name = `${row.prefix}${this.#added++}`;
    const { device, pci, ports = [] } = row.create(this.services, { type: row.type, ...options }, name);
    for (const { start, size, handler } of ports) this.ports.claim(device.name, start, size, handler);
    if (pci !== undefined) this.pci.plug(pci);
    this.pci.assign();
    return new TestDevice(this, device, pci ?? null);
  }
}

/** A device in a test's machine, as a driver sees it. */
export class TestDevice {
  readonly device: Device;
  readonly #machine: TestMachine;
  readonly #pci: PciFunction | null;

  constructor(machine: TestMachine, device: Device, pci: PciFunction | null) {
    this.#machine = machine;
    this.device = device;
    this.#pci = pci;
  }

  /** Reads at `offset` from the start of a BAR. */
  read(offset: number, size: AccessSize = 4, bar = 0): number {
    return this.#space(bar).read(this.#start(bar) + offset, size);
  }

  write(offset: number, value: number, size: AccessSize = 4, bar = 0): void {
    this.#space(bar).write(this.#start(bar) + offset, size, value);
  }

  /** Whether it, or another device on the same wire, asserts its INTx pin. */
  get interrupt(): boolean {
    return this.#machine.lines.some(line => line.level);
  }

  #bar(index: number) {
    const bar = this.#pci?.bars.find(bar => bar.index === index);
    if (bar === undefined) throw new Error(`${this.device.name} has no BAR ${index}`);
    return bar;
  }

  #space(bar: number) {
    return this.#bar(bar).space === 'port' ? this.#machine.ports : this.#machine.memoryBus;
  }

  #start(bar: number): number {
    const { address } = this.#bar(bar);
    if (address === null) throw new Error(`BAR ${bar} of ${this.device.name} is not mapped`);
    return address;
  }
}
