import type { Bus, BusRange } from '../bus.ts';
import type {
  AccessSize,
  Device,
  DeviceState,
  InterruptLine,
  IoHandler,
  MsiVector,
  RequestMachine,
} from '../device.ts';
import { DeviceStateError, stateOf, statesOf } from '../state.ts';
import { assignResources, type PciWindow, type PciWindows } from './assign.ts';
import { ConfigPorts, type ConfigSpaces } from './config-ports.ts';
import { PciBridge } from './pci-bridge.ts';
import { PciBus } from './pci-bus.ts';
import { PciFunction, type PciPlace } from './pci-function.ts';
import { Placement } from './placement.ts';
import { COMMAND, REG } from './registers.ts';
import { RootPort } from './root-port.ts';

/** The function at 00:00.0, by which guests detect a PCI host. */
const HOST_BRIDGE = { vendor: 0x1b36, device: 0x0008, revision: 0, classCode: 0x060000 } as const;

/**
 * The interrupt inputs that the INTx pins of bus 0 are wired to: pin p (INTA# 0) of slot s to input s + p, modulo their
 * number.
 */
export type PciInterrupts = {
  /** Interrupt number of the first input. */
  readonly first: number;
  readonly count: number;
  /** A new end of the wire to interrupt `gsi`. */
  readonly line: (gsi: number) => InterruptLine;
  /** The input of a slot's pin, if different: 0 for the first. */
  readonly input?: (slot: number, pin: number) => number;
};

/** The location of the memory-mapped configuration space: 1 MiB for each bus from 0. */
export type EcamPlace = { readonly start: number; readonly buses: number };

export type PciHostOptions = {
  readonly ports: Bus;
  readonly memory: Bus;
  /** Port of the configuration address register: 0xcf8. */
  readonly configPort: number;
  /** The memory-mapped configuration space: 1 MiB for each bus from 0. Null if firmware places it. */
  readonly ecam: EcamPlace | null;
  /** The function at 00:00.0; default: a generic host bridge. */
  readonly bridge?: PciFunction;
  /** Whether the machine has firmware, which assigns the functions' addresses. */
  readonly hasFirmware?: boolean;
  /** Windows for BARs; the 64-bit one grows up to `memory64End` when devices need more than half of it. */
  readonly windows: PciWindows;
  /** The end of the CPU's address space; default: the end of the window. */
  readonly memory64End?: number;
  readonly interrupts: PciInterrupts;
  /** Allocates the vectors of root ports. */
  readonly allocateMsi: () => MsiVector;
  readonly request: RequestMachine;
};

/** The layout of the device and function number in a configuration address. */
const DEVFN = { slotShift: 3, function: 7 } as const;

/**
 * The PCI host of one machine: bus 0 with the host bridge in slot 0, what is behind its bridges, and the two access
 * mechanisms of configuration space, ports 0xcf8-0xcff and ECAM (PCI Express Base 4.0 §7.2.2).
 */
export class PciHost implements Device, ConfigSpaces {
  readonly name = 'pci';
  readonly root: PciBus;
  readonly #options: PciHostOptions;
  readonly #bridge: PciFunction;
  readonly #configPorts: ConfigPorts;
  readonly #placement: Placement;
  #memory64: PciWindow;
  #ecam: { readonly place: EcamPlace; readonly range: BusRange } | null = null;

  constructor(options: PciHostOptions) {
    this.#options = options;
    this.#memory64 = options.windows.memory64;
    this.#bridge = options.bridge ?? new PciFunction('host-bridge', HOST_BRIDGE);
    this.root = new PciBus('PCI bus 0', 'root', {
      ports: options.ports,
      memory: options.memory,
      forwardsUp: true,
      interruptWire: (slot, pin) => options.interrupts.line(this.#interrupt(slot, pin)),
      forwards: () => true,
    });
    this.root.plug(this.#bridge);
    this.#placement = new Placement(this.root, options.allocateMsi);
    this.#configPorts = new ConfigPorts(this, options.request);
    options.ports.claim('pci-config', options.configPort, ConfigPorts.size, this.#configPorts);
    this.placeEcam(options.ecam);
  }

  /** Moves the memory-mapped configuration space. @param place null to remove it */
  placeEcam(place: EcamPlace | null): void {
    const old = this.#ecam?.place ?? null;
    if (old?.start === place?.start && old?.buses === place?.buses) return;
    this.#ecam?.range.remove();
    this.#ecam = place && {
      place,
      range: this.#options.memory.claim('pci-ecam', place.start, place.buses * 2 ** 20, ecamHandler(this)),
    };
  }

  /** The location of the memory-mapped configuration space; null if firmware has not placed it. */
  get ecam(): EcamPlace | null {
    return this.#ecam?.place ?? null;
  }

  /**
   * Plugs a function into a slot of bus 0, or behind a root port when bus 0 is full. Only before the machine first
   * runs; later devices are inserted through a root port (`RootPort.insert`). @throws PciSlotError
   */
  plug(fn: PciFunction): void {
    this.#placement.plug(fn);
  }

  /**
   * Adds a root port, `root-port.1` and so on, at a place or at the next free one. Only before the machine first runs.
   * @throws PciSlotError
   */
  addRootPort(place?: PciPlace): void {
    this.#placement.addPort(place);
  }

  /** The root ports that are not devices of the configuration. */
  get ownRootPorts(): readonly RootPort[] {
    return this.#placement.ports;
  }

  /** All root ports, those of bus 0 first. */
  get rootPorts(): readonly RootPort[] {
    return this.#bridges().filter(bridge => bridge instanceof RootPort);
  }

  /** A free slot of bus 0 for a device that may be in any; null if there is none. */
  freeSlot(): number | null {
    return this.#placement.freeSlot();
  }

  /**
   * Powers the devices behind root ports and, unless firmware does it, assigns addresses to every function: before the
   * first boot and after each reset. @throws PciWindowError
   */
  assign(): void {
    for (const port of this.rootPorts) port.populate();
    const { windows, memory64End, hasFirmware } = this.#options;
    if (hasFirmware) {
      for (const bridge of this.#bridges()) forwardRequests(bridge);
      return;
    }
    const { start, size } = windows.memory64;
    const most = memory64End === undefined ? size : memory64End - start;
    const memory64 = { ...windows.memory64, size: most };
    const end = assignResources(this.root, { ...windows, memory64 }, (slot, pin) =>
      this.#interrupt(slot, pin),
    );
    // The same amount again is for devices that come later: a guest assigns their BARs itself.
    const wanted = Math.ceil((2 * (end - start)) / size) * size;
    this.#memory64 = { start, size: Math.min(Math.max(size, wanted), most) };
  }

  /** The window of 64-bit BARs, as of the last assignment. */
  get memory64(): PciWindow {
    return this.#memory64;
  }

  /**
   * The address of a plugged function as currently numbered by the guest, `01:00.0`; null behind a bridge without a
   * number.
   */
  addressOf(fn: PciFunction): string | null {
    const bus =
      fn.bus === this.root ? 0 : this.#bridges().find(bridge => bridge.secondary === fn.bus)?.secondaryNumber;
    if (bus === undefined || (bus === 0 && fn.bus !== this.root)) return null;
    const hex = (value: number) => value.toString(16).padStart(2, '0');
    return `${hex(bus)}:${hex(fn.place.slot)}.${fn.place.function}`;
  }

  /** The bridges on the way from bus 0 to a function. */
  bridgesAbove(fn: PciFunction): readonly PciBridge[] {
    const bridge = this.#bridges().find(({ secondary }) => secondary === fn.bus);
    return bridge === undefined ? [] : [...this.bridgesAbove(bridge), bridge];
  }

  /** The range of memory, from `from` on, that firmware has assigned to BARs and bridges; null if none. */
  assignedFrom(from: number): { readonly start: number; readonly end: number } | null {
    const bridges = this.#bridges();
    const bars = [this.root, ...bridges.map(bridge => bridge.secondary)].flatMap(bus =>
      bus.functions.flatMap(({ fn }) => fn.bars.filter(bar => bar.space === 'memory')),
    );
    const ranges = [
      ...bars.map(({ programmed, size }) => ({ start: programmed ?? 0, end: (programmed ?? 0) + size })),
      ...bridges.map(bridge => bridge.prefetchWindow),
    ].filter(({ start, end }) => start >= from && end > start);
    if (ranges.length === 0) return null;
    return {
      start: Math.min(...ranges.map(({ start }) => start)),
      end: Math.max(...ranges.map(({ end }) => end)),
    };
  }

  /** The input of the interrupt controller that a pin (0 for INTA#) of a slot of bus 0 is wired to. */
  interruptOf(slot: number, pin: number): number {
    return this.#interrupt(slot, pin);
  }

  /** Slots of bus 0 with a function that has an interrupt pin, or with a bridge. */
  get interruptSlots(): number[] {
    const wired = this.root.functions.filter(({ fn }) => fn.hasInterruptPin || fn instanceof PciBridge);
    return [...new Set(wired.map(({ slot }) => slot))];
  }

  readConfig(bus: number, devfn: number, offset: number, size: AccessSize): number {
    return this.#find(bus, devfn)?.readConfig(offset, size) ?? 0xffff_ffff;
  }

  writeConfig(bus: number, devfn: number, offset: number, size: AccessSize, value: number): void {
    this.#find(bus, devfn)?.writeConfig(offset, size, value);
  }

  /** Resets the host and its bridges, then reassigns all addresses. Reset the other devices first. */
  reset(): void {
    this.#bridge.reset();
    this.#resetBridges();
  }

  /** The same after S3: the host bridge keeps its settings from firmware. */
  wake(): void {
    if (!this.#options.hasFirmware) this.#bridge.reset();
    this.#resetBridges();
  }

  #resetBridges(): void {
    this.#configPorts.reset();
    for (const port of this.rootPorts) port.finishRemoval();
    for (const bridge of this.#bridges()) bridge.reset();
    this.assign();
  }

  /** The host and its bridges; each device behind them saves its own function. */
  save(): DeviceState {
    const bridges = this.#own().map(fn => ({ name: fn.name, state: fn.save() }));
    return { version: 2, ports: this.#configPorts.save(), tree: this.#tree(), bridges };
  }

  /** @throws DeviceStateError if the state is of another tree of functions */
  load(state: DeviceState): void {
    if (state.version !== 2) throw new DeviceStateError('version', 'known version');
    if (!Array.isArray(state.tree) || state.tree.join() !== this.#tree().join())
      throw new DeviceStateError('tree', 'list of the PCI functions of this machine, each in its place');
    const own = this.#own();
    const states = statesOf(state, 'bridges', own.length);
    this.#configPorts.load(stateOf(state, 'ports'));
    own.forEach((fn, index) => {
      fn.load(stateOf(states[index]!, 'state'));
    });
  }

  #interrupt(slot: number, pin: number): number {
    const { first, count, input = (slot, pin) => (slot + pin) % count } = this.#options.interrupts;
    return first + input(slot, pin);
  }

  /** The functions that do not belong to devices: the host bridge, and all bridges, those closer to the root first. */
  #own(): PciFunction[] {
    return [this.#bridge, ...this.#bridges()];
  }

  #bridges(bus = this.root): PciBridge[] {
    const bridges = bus.functions.map(({ fn }) => fn).filter(fn => fn instanceof PciBridge);
    return bridges.flatMap(bridge => [bridge, ...this.#bridges(bridge.secondary)]);
  }

  /** Each function with its place, which no guest may change. */
  #tree(bus = this.root, path = ''): string[] {
    return bus.functions.flatMap(({ slot, function: number, fn }) => {
      const at = `${path}${slot}.${number}`;
      const behind = fn instanceof PciBridge ? this.#tree(fn.secondary, `${at}/`) : [];
      return [`${at} ${fn.name}`, ...behind];
    });
  }

  /** The function at the guest's bus number and devfn. */
  #find(number: number, devfn: number): PciFunction | null {
    const bus = busOf(this.root, 0, number);
    return bus?.at({ slot: devfn >>> DEVFN.slotShift, function: devfn & DEVFN.function }) ?? null;
  }
}

/**
 * SeaBIOS enables bus mastering for devices, but not for the bridges above them, which on QEMU's machines forward all
 * requests of devices.
 */
function forwardRequests(bridge: PciBridge): void {
  const { config } = bridge;
  config.setU16(REG.command, config.u16(REG.command) | COMMAND.busMaster);
  bridge.refresh();
}

/**
 * The bus that a request for bus `number` reaches, starting at `bus`, whose number is `own` (PCI-to-PCI Bridge 1.2
 * §3.1.2.1).
 */
function busOf(bus: PciBus, own: number, number: number): PciBus | null {
  if (number === own) return bus;
  for (const { fn } of bus.functions) {
    if (!(fn instanceof PciBridge) || !fn.linkUp) continue;
    const { secondaryNumber: first, subordinateNumber: last } = fn;
    if (first === number) return fn.secondary;
    if (first !== 0 && number > first && number <= last) return busOf(fn.secondary, first, number);
  }
  return null;
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
