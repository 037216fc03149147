import type { Bus } from '../bus.ts';
import type { AccessSize, InterruptLine } from '../device.ts';
import { addPcieBridgeCapability } from './capabilities.ts';
import { PciBus, type PciUpstream } from './pci-bus.ts';
import { PciFunction, type PciIdentity } from './pci-function.ts';
import { PowerManagement } from './power-management.ts';
import { BRIDGE_CONTROL, COMMAND, REG, STATUS_CLEARABLE } from './registers.ts';

/** Writable bits of the bridge control register: parity, SERR, ISA, VGA, secondary bus reset ... */
const BRIDGE_CONTROL_WRITABLE = 0x007f;
const PREFETCH_64BIT = 0x1;
const PINS = 4;
const CLASS_PCI_BRIDGE = 0x060400;

/**
 * A bridge (type 1 header) with a bus behind it. It forwards accesses in its windows, and the requests and interrupts
 * of the functions behind it, as its command register permits (PCI-to-PCI Bridge 1.2 §3.2, §4).
 */
export class PciBridge extends PciFunction implements PciUpstream {
  readonly secondary: PciBus;

  constructor(name: string, identity: Omit<PciIdentity, 'classCode'>, type: 'link' | 'conventional') {
    super(name, { ...identity, classCode: CLASS_PCI_BRIDGE }, 1);
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
    this.secondary = new PciBus(`the bus behind ${name}`, type, this);
  }

  get ports(): Bus {
    return this.#upstreamBus.space('port');
  }

  get memory(): Bus {
    return this.#upstreamBus.space('memory');
  }

  get forwardsUp(): boolean {
    return this.busMaster;
  }

  /** Pins are rotated by the slot (PCI-to-PCI Bridge 1.2 §9.1), then routed like the bridge's own pin. */
  interruptWire(slot: number, pin: number): InterruptLine {
    return this.#upstreamBus.interruptWire(this.place.slot, swizzled(slot, pin));
  }

  /** The number that the guest assigned to the bus behind the bridge; 0 if none. */
  get secondaryNumber(): number {
    return this.config.u8(REG.secondaryBus);
  }

  /** The highest bus number behind it. */
  get subordinateNumber(): number {
    return this.config.u8(REG.subordinateBus);
  }

  /** Whether the guest can reach the devices behind the bridge. */
  get linkUp(): boolean {
    return true;
  }

  forwards(space: 'port' | 'memory', address: number, size: number): boolean {
    const command = this.config.u16(REG.command);
    if (!this.linkUp || this.bus === null || !this.bus.forwards(space, address, size)) return false;
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
    const { start, end } = this.prefetchWindow;
    return address >= start && last < end;
  }

  /** The window for prefetchable memory; closed if its end is not above its start. */
  get prefetchWindow(): { readonly start: number; readonly end: number } {
    const start = this.config.u32(REG.prefetchBaseUpper) * 2 ** 32 + this.#megabytes(REG.prefetchBase);
    const last = this.config.u32(REG.prefetchLimitUpper) * 2 ** 32 + this.#megabytes(REG.prefetchLimit);
    return { start, end: last + 0x10_0000 };
  }

  override writeConfig(offset: number, size: AccessSize, value: number): void {
    const wasReset = this.#resetsSecondary;
    super.writeConfig(offset, size, value);
    if (!wasReset && this.#resetsSecondary) this.secondary.reset();
  }

  override refresh(): void {
    super.refresh();
    this.secondary.refresh();
  }

  override busReset(): void {
    super.busReset();
    this.secondary.reset();
  }

  /** Also detaches what is behind the bridge. */
  override detach(): void {
    for (const { fn } of this.secondary.functions) this.secondary.unplug(fn);
    super.detach();
  }

  get #resetsSecondary(): boolean {
    return (this.config.u16(REG.bridgeControl) & BRIDGE_CONTROL.secondaryReset) !== 0;
  }

  get #upstreamBus() {
    if (this.bus === null) throw new Error(`${this.name} must be plugged in before the devices behind it`);
    return this.bus;
  }

  /** Bits 31-20 of an address, from bits 15-4 of a window register. */
  #megabytes(offset: number): number {
    return (this.config.u16(offset) & 0xfff0) * 2 ** 16;
  }
}

/** The bridge's pin that pin `pin` of slot `slot` behind it is wired to. */
export function swizzled(slot: number, pin: number): number {
  return (slot + pin) % PINS;
}

/** A PCI-to-PCI bridge, with a conventional bus. */
export function pciBridge(name: string): PciBridge {
  return new PciBridge(name, { vendor: 0x1b36, device: 0x0001, revision: 0 }, 'conventional');
}

/** A PCI Express to PCI bridge, with a conventional bus. */
export function pcieToPciBridge(name: string): PciBridge {
  const bridge = new PciBridge(name, { vendor: 0x1b36, device: 0x000e, revision: 0 }, 'conventional');
  new PowerManagement(bridge);
  addPcieBridgeCapability(bridge);
  return bridge;
}
