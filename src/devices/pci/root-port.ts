import type { Bus } from '../bus.ts';
import type { AccessSize, DeviceState, InterruptLine } from '../device.ts';
import { addPowerManagement, addRootPortCapability } from './capabilities.ts';
import { PciBus, type PciUpstream } from './pci-bus.ts';
import { PciFunction } from './pci-function.ts';
import { COMMAND, REG, STATUS_CLEARABLE } from './registers.ts';

const IDENTITY = { vendor: 0x1b36, device: 0x000c, revision: 0, classCode: 0x060400 } as const;

/** Parity, SERR, ISA, VGA, secondary bus reset ... of the bridge control register: stored, without effect. */
const BRIDGE_CONTROL_WRITABLE = 0x007f;
const PREFETCH_64BIT = 0x1;

/**
 * A PCI Express root port: a bridge (type 1 header) whose secondary bus has one slot. It forwards the addresses in its
 * windows if its command register allows (PCI-to-PCI Bridge 1.2 §4).
 */
export class RootPort extends PciFunction implements PciUpstream {
  readonly secondary: PciBus;

  /** @param slot slot number that the guest shows, unique in the machine */
  constructor(name: string, slot: number) {
    super(name, IDENTITY, 1);
    const { config } = this;
    for (const offset of [REG.primaryBus, REG.secondaryBus, REG.subordinateBus]) {
      config.define(offset, 1, 0, { writable: 0xff });
    }
    config.define(REG.ioBase, 2, 0, { writable: 0xf0f0 });
    config.define(REG.secondaryStatus, 2, 0, { clearable: STATUS_CLEARABLE });
    config.define(REG.memoryBase, 4, 0, { writable: 0xfff0_fff0 });
    config.define(REG.prefetchBase, 4, PREFETCH_64BIT | (PREFETCH_64BIT << 16), { writable: 0xfff0_fff0 });
    config.define(REG.prefetchBaseUpper, 4, 0, { writable: 0xffff_ffff });
    config.define(REG.prefetchLimitUpper, 4, 0, { writable: 0xffff_ffff });
    config.define(REG.bridgeControl, 2, 0, { writable: BRIDGE_CONTROL_WRITABLE });
    this.addInterruptPin();
    addPowerManagement(this);
    addRootPortCapability(this, slot);
    this.secondary = new PciBus(`the link of ${name}`, 'link', this);
  }

  get ports(): Bus {
    return this.bus!.space('port');
  }

  get memory(): Bus {
    return this.bus!.space('memory');
  }

  /** The device's pins are routed to the port's own pin. */
  interruptWire(): InterruptLine {
    if (this.bus === null) throw new Error(`${this.name} must be plugged in before the device behind it`);
    return this.bus.interruptWire(this.slot);
  }

  /** The number that the guest assigned to the bus behind the port; 0 if none. */
  get secondaryNumber(): number {
    return this.config.u8(REG.secondaryBus);
  }

  forwards(space: 'port' | 'memory', address: number, size: number): boolean {
    const command = this.config.u16(REG.command);
    if (this.bus === null || !this.bus.forwards(space, address, size)) return false;
    const last = address + size - 1;
    if (space === 'port') {
      const base = (this.config.u8(REG.ioBase) & 0xf0) << 8;
      const limit = ((this.config.u8(REG.ioLimit) & 0xf0) << 8) | 0xfff;
      return (command & COMMAND.io) !== 0 && address >= base && last <= limit;
    }
    if ((command & COMMAND.memory) === 0) return false;
    const base = this.#megabytes(REG.memoryBase);
    const limit = this.#megabytes(REG.memoryLimit) + 0xf_ffff;
    if (address >= base && last <= limit) return true;
    const prefetchBase = this.config.u32(REG.prefetchBaseUpper) * 2 ** 32 + this.#megabytes(REG.prefetchBase);
    const prefetchLimit =
      this.config.u32(REG.prefetchLimitUpper) * 2 ** 32 + this.#megabytes(REG.prefetchLimit) + 0xf_ffff;
    return address >= prefetchBase && last <= prefetchLimit;
  }

  override writeConfig(offset: number, size: AccessSize, value: number): void {
    super.writeConfig(offset, size, value);
    if (offset < REG.firstCapability) this.secondary.refresh();
  }

  override reset(): void {
    super.reset();
    this.secondary.refresh();
  }

  override load(state: DeviceState): void {
    super.load(state);
    this.secondary.refresh();
  }

  /** Bits 31-20 of an address, from bits 15-4 of a window register. */
  #megabytes(offset: number): number {
    return (this.config.u16(offset) & 0xfff0) * 2 ** 16;
  }
}
