import type { Device, DeviceState, IoHandler, MachineServices } from 'vring/device';
import { defineDevice, numberOf, PciFunction, stateOf } from 'vring/device';

/** Registers of BAR 0, 32 bits each. */
const REG = { control: 0x0, count: 0x4, address: 0x8, acknowledge: 0xc } as const;
const RUN = 1;

/** Counts the ticks of a timer, stores the count in guest memory, and raises its interrupt at each tick. */
class TickCounter implements Device, IoHandler {
  readonly name: string;
  readonly pci: PciFunction;
  readonly #services: MachineServices;
  readonly #interval: bigint;
  readonly #ticks;
  #control = 0;
  #count = 0;
  #address = 0;
  #cancel = () => {};

  constructor(name: string, intervalMs: number, services: MachineServices) {
    this.name = name;
    this.#services = services;
    this.#interval = BigInt(intervalMs) * 1_000_000n;
    this.#ticks = services.statistic({ device: name, name: 'ticks' });
    this.pci = new PciFunction(name, { vendor: 0x1b36, device: 0x7469, revision: 1, classCode: 0xff0000 });
    this.pci.addBar(0, { kind: 'memory32', size: 0x1000, handler: this });
    this.pci.addInterruptPin();
  }

  read(offset: number): number {
    return [this.#control, this.#count, this.#address][offset >>> 2] ?? 0;
  }

  write(offset: number, _size: number, value: number): void {
    if (offset === REG.address) this.#address = value;
    if (offset === REG.acknowledge) this.pci.setInterrupt(false);
    if (offset !== REG.control) return;
    this.#control = value & RUN;
    this.resume();
  }

  reset(): void {
    this.#cancel();
    this.#control = this.#count = this.#address = 0;
    this.pci.reset();
  }

  quiesce(done: () => void): void {
    this.#cancel();
    done();
  }

  resume(): void {
    this.#cancel();
    if ((this.#control & RUN) === 0) return;
    this.#cancel = this.#services.clock.at(this.#services.clock.now() + this.#interval, () => this.#tick());
  }

  save(): DeviceState {
    return { control: this.#control, count: this.#count, address: this.#address, pci: this.pci.save() };
  }

  load(state: DeviceState): void {
    this.#cancel();
    this.#control = numberOf(state, 'control', RUN);
    this.#count = numberOf(state, 'count', 0xffff_ffff);
    this.#address = numberOf(state, 'address', 0xffff_ffff);
    this.pci.load(stateOf(state, 'pci'));
  }

  close(): void {
    this.#cancel();
    this.#ticks.release();
    this.pci.close();
  }

  #tick(): void {
    const { memory } = this.#services;
    this.#count = (this.#count + 1) >>> 0;
    this.#ticks.add(1);
    // The guest may have set any address.
    if (memory.contains(this.#address, 4)) memory.writeU32(this.#address, this.#count);
    this.pci.setInterrupt(true);
    this.resume();
  }
}

export default defineDevice({
  type: 'tick-counter',
  title: 'tick counter',
  description: 'counts the ticks of a timer into guest memory',
  bus: 'pci',
  prefix: 'tick',
  options: { interval: { kind: 'number', min: 1, max: 60_000, default: 10, description: 'ms per tick' } },
  create(services, { interval }, name) {
    const device = new TickCounter(name, interval, services);
    return { device, pci: device.pci, facts: [{ label: 'interval', value: `${interval} ms` }] };
  },
});
