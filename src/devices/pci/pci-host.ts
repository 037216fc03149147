import type { Bus } from '../bus.ts';
import type { AccessSize, Device, DeviceState, InterruptLine, IoHandler, RequestMachine } from '../device.ts';
import { stateOf } from '../state.ts';
import { assignResources, type PciWindows } from './assign.ts';
import { ConfigPorts, type ConfigSpaces } from './config-ports.ts';
import { PciBus } from './pci-bus.ts';
import { PciFunction } from './pci-function.ts';
import { RootPort } from './root-port.ts';

/** The function at 00:00.0, by which guests detect a PCI host. */
const HOST_BRIDGE = { vendor: 0x1b36, device: 0x0008, revision: 0, classCode: 0x060000 } as const;

/** The interrupt inputs that the INTx pins of bus 0 are wired to: pin p (INTA# 0) of slot s to input s + p, modulo their number. */
export type PciInterrupts = {
  /** Interrupt number of the first input. */
  readonly first: number;
  readonly count: number;
  /** A new end of the wire to interrupt `gsi`. */
  readonly line: (gsi: number) => InterruptLine;
};

export type PciHostOptions = {
  readonly ports: Bus;
  readonly memory: Bus;
  /** Port of the configuration address register: 0xcf8. */
  readonly configPort: number;
  /** The memory-mapped configuration space: 1 MiB for each bus from 0. */
  readonly ecam: { readonly start: number; readonly buses: number };
  /** Windows for BARs. */
  readonly windows: PciWindows;
  readonly interrupts: PciInterrupts;
  readonly request: RequestMachine;
};

/**
 * The PCI host of one machine: bus 0 with the host bridge in slot 0, and the two ways to configuration space, ports
 * 0xcf8-0xcff and ECAM (PCI Express Base 4.0 §7.2.2).
 */
export class PciHost implements Device, ConfigSpaces {
  readonly name = 'pci';
  readonly root: PciBus;
  readonly #options: PciHostOptions;
  readonly #bridge = new PciFunction('host-bridge', HOST_BRIDGE);
  readonly #configPorts: ConfigPorts;

  constructor(options: PciHostOptions) {
    this.#options = options;
    this.root = new PciBus('PCI bus 0', 'root', {
      ports: options.ports,
      memory: options.memory,
      interruptWire: slot => options.interrupts.line(this.#interrupt(slot)),
      forwards: () => true,
    });
    this.root.plug(this.#bridge);
    this.#configPorts = new ConfigPorts(this, options.request);
    options.ports.claim('pci-config', options.configPort, ConfigPorts.size, this.#configPorts);
    const { start, buses } = options.ecam;
    options.memory.claim('pci-ecam', start, buses * 2 ** 20, ecamHandler(this));
  }

  /** Puts a function into the first free slot of bus 0. @returns the slot. @throws PciSlotError */
  plug(fn: PciFunction): number {
    return this.root.plug(fn);
  }

  /** Assigns addresses to every function, like firmware: before the first boot and after each reset. */
  assign(): void {
    assignResources(this.root, this.#options.windows, slot => this.#interrupt(slot));
  }

  readConfig(bus: number, devfn: number, offset: number, size: AccessSize): number {
    return this.#find(bus, devfn)?.readConfig(offset, size) ?? 0xffff_ffff;
  }

  writeConfig(bus: number, devfn: number, offset: number, size: AccessSize, value: number): void {
    this.#find(bus, devfn)?.writeConfig(offset, size, value);
  }

  /** Resets the host and its bridges, then reassigns all addresses. Reset the other devices first. */
  reset(): void {
    this.#configPorts.reset();
    for (const bridge of this.#bridges()) bridge.reset();
    this.assign();
  }

  /** The host and its bridges; each device behind them saves its own function. */
  save(): DeviceState {
    const state: DeviceState = { ports: this.#configPorts.save() };
    for (const bridge of this.#bridges()) state[bridge.name] = bridge.save();
    return state;
  }

  load(state: DeviceState): void {
    this.#configPorts.load(stateOf(state, 'ports'));
    for (const bridge of this.#bridges()) bridge.load(stateOf(state, bridge.name));
  }

  #interrupt(slot: number): number {
    const { first, count } = this.#options.interrupts;
    return first + (slot % count);
  }

  #bridges(): PciFunction[] {
    const ports = this.root.functions.map(({ fn }) => fn).filter(fn => fn instanceof RootPort);
    return [this.#bridge, ...ports];
  }

  /** The function at the guest's bus number and devfn. */
  #find(number: number, devfn: number): PciFunction | null {
    if ((devfn & 7) !== 0) return null;
    if (number === 0) return this.root.at(devfn >>> 3);
    for (const { fn } of this.root.functions) {
      if (fn instanceof RootPort && fn.secondaryNumber === number) return fn.secondary.at(devfn >>> 3);
    }
    return null;
  }
}

/** Address bits 27-20 are the bus, 19-12 device and function, 11-0 the register. */
function ecamHandler(spaces: ConfigSpaces): IoHandler {
  return {
    read(offset, size) {
      if ((offset & 3) + size > 4) return 0xffff_ffff;
      return spaces.readConfig(offset >>> 20, (offset >>> 12) & 0xff, offset & 0xfff, size);
    },
    write(offset, size, value) {
      if ((offset & 3) + size > 4) return;
      spaces.writeConfig(offset >>> 20, (offset >>> 12) & 0xff, offset & 0xfff, size, value);
    },
  };
}
