import type { Bus } from '../bus.ts';
import type { AccessSize, Device, DeviceState, InterruptLine } from '../device.ts';
import type { DeviceMemory } from '../device-memory.ts';
import { bytesOf } from '../state.ts';
import { Bar, type BarOptions, ROM_BAR } from './bar.ts';
import { ConfigSpace } from './config-space.ts';
import {
  COMMAND,
  CONFIG_SIZE,
  EXTENDED_CONFIG_SIZE,
  HEADER,
  REG,
  STATUS,
  STATUS_CLEARABLE,
} from './registers.ts';

export type PciIdentity = {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
};

/** A part of configuration space with side effects. Offsets are relative to the space. */
export type ConfigHook = {
  readonly start: number;
  readonly end: number;
  /** Called before the guest reads some of [start, end). */
  readonly beforeRead?: () => void;
  /** Called before the guest writes some of [start, end). */
  readonly beforeWrite?: () => void;
  /** Called after the guest wrote some of [start, end). */
  readonly afterWrite?: () => void;
};

/** Where a function is on its bus: slot 0-31, function 0-7. */
export type PciPlace = { readonly slot: number; readonly function: number };

/** What a function needs from its bus. */
export interface PciSlot {
  readonly name: string;
  /** Part of the root complex, a PCI Express link, or a conventional bus. */
  readonly type: 'root' | 'link' | 'conventional';
  /** The bus that BARs of this kind are mapped into. */
  space(space: 'port' | 'memory'): Bus;
  /** Whether accesses to this range reach the bus. */
  forwards(space: 'port' | 'memory', address: number, size: number): boolean;
  /** Whether requests of its functions reach memory. */
  readonly busMaster: boolean;
  /** A new end of the wire that a pin in `slot` drives. @param pin 0 for INTA# to 3 for INTD# */
  interruptWire(slot: number, pin: number): InterruptLine;
  unplug(fn: PciFunction): void;
  /**
   * Reports the speed and width of a device's PCI Express link, from its link capabilities, which the port then shows
   * as well.
   */
  train(link: number): void;
}

/**
 * One PCI function: configuration space, the BARs it controls, and its INTx pin. A device model owns one and adds
 * BARs and capabilities to it; a PciBus gives it a place, buses to map into and an interrupt wire.
 */
export class PciFunction implements Device {
  readonly name: string;
  readonly config = new ConfigSpace();
  readonly bars: Bar[] = [];
  /**
   * Functions with the same key belong to the same device: those without an assigned place get one in the slot of the
   * first. Null if the function is a device by itself.
   */
  readonly deviceKey: string | null;
  readonly #headerType: 0 | 1;
  readonly #hooks: ConfigHook[] = [];
  readonly #attachHooks: ((bus: PciSlot) => void)[] = [];
  readonly #busMasterHooks: ((busMaster: boolean) => void)[] = [];
  readonly #resetHooks: (() => void)[] = [];
  readonly #resetDoneHooks: (() => void)[] = [];
  #bus: PciSlot | null = null;
  #place: PciPlace = { slot: 0, function: 0 };
  #wire: InterruptLine | null = null;
  #interrupt = false;
  #busMaster = false;
  /** Eventfds that drive the pin, with their resample fds if any. */
  readonly #pinFds = new Map<number, number | undefined>();
  #pinConnected = false;

  constructor(name: string, identity: PciIdentity, headerType: 0 | 1 = 0, deviceKey: string | null = null) {
    this.name = name;
    this.deviceKey = deviceKey;
    this.#headerType = headerType;
    const { config } = this;
    config.define(REG.vendor, 2, identity.vendor);
    config.define(REG.device, 2, identity.device);
    config.define(REG.command, 2, 0, {
      writable:
        COMMAND.io |
        COMMAND.memory |
        COMMAND.busMaster |
        COMMAND.parityResponse |
        COMMAND.serr |
        COMMAND.interruptDisable,
    });
    config.define(REG.status, 2, 0, { clearable: STATUS_CLEARABLE });
    config.define(REG.revision, 1, identity.revision);
    config.define(REG.classCode, 3, identity.classCode);
    config.define(REG.headerType, 1, headerType);
    config.define(REG.interruptLine, 1, 0, { writable: 0xff });
    if (headerType === 0) {
      config.define(REG.subsystemVendor, 2, identity.subsystemVendor ?? 0);
      config.define(REG.subsystem, 2, identity.subsystem ?? 0);
    }
  }

  /** The bus that the function is plugged into. */
  get bus(): PciSlot | null {
    return this.#bus;
  }

  /** Where it is on that bus. */
  get place(): PciPlace {
    return this.#place;
  }

  addBar(index: number, options: BarOptions): Bar {
    const bar = new Bar(this.name, index, this.config, options);
    this.bars.push(bar);
    return bar;
  }

  /**
   * Adds an expansion ROM to the function: `memory`, whose size is a power of two, and which the guest cannot write.
   */
  addRom(memory: DeviceMemory): Bar {
    return this.addBar(ROM_BAR, { kind: 'memory32', size: memory.size, memory });
  }

  /** Appends a capability; `body` is what follows its ID and next pointer. @returns its offset. */
  addCapability(id: number, body: Uint8Array): number {
    return this.config.addCapability(id, body);
  }

  addHook(hook: ConfigHook): void {
    this.#hooks.push(hook);
  }

  /** Calls back when the function is plugged into a bus. */
  onAttach(hook: (bus: PciSlot) => void): void {
    this.#attachHooks.push(hook);
  }

  /** Calls back when `busMaster` changes. */
  onBusMaster(hook: (busMaster: boolean) => void): void {
    this.#busMasterHooks.push(hook);
  }

  /**
   * Calls back when the function is reset by its bus (a bridge's secondary bus reset, a slot that is powered off),
   * after its configuration space has been reset: the device must stop, and forget what its driver set up.
   */
  onBusReset(hook: () => void): void {
    this.#resetHooks.push(hook);
  }

  /** Calls back after all functions of the bus have been reset. */
  onBusResetDone(hook: () => void): void {
    this.#resetDoneHooks.push(hook);
  }

  /**
   * Whether the function may access memory, and send messages: the guest has set "bus master enable" here and in all
   * bridges above (PCI Local Bus 3.0 §6.2.2).
   */
  get busMaster(): boolean {
    return this.#busMaster;
  }

  /** Gives the function an interrupt pin. @param pin 0 for INTA# to 3 for INTD# */
  addInterruptPin(pin = 0): void {
    this.config.define(REG.interruptPin, 1, pin + 1);
  }

  get hasInterruptPin(): boolean {
    return this.config.u8(REG.interruptPin) !== 0;
  }

  /** 0 for INTA# to 3 for INTD#; 0 for a function without a pin. */
  get interruptPin(): number {
    return Math.max(0, this.config.u8(REG.interruptPin) - 1);
  }

  /** Called by the bus: whether its slot has other functions as well. */
  setMultifunction(multifunction: boolean): void {
    this.config.define(REG.headerType, 1, this.#headerType | (multifunction ? HEADER.multifunction : 0));
  }

  /** Called by the bus that it is plugged into. */
  attach(bus: PciSlot, place: PciPlace): void {
    this.#bus = bus;
    this.#place = place;
    this.#wire = bus.interruptWire(place.slot, this.interruptPin);
    for (const hook of this.#attachHooks) hook(bus);
    this.refresh();
  }

  /** Called by the bus that it is unplugged from: afterward, nothing of it can be reached. */
  detach(): void {
    for (const bar of this.bars) bar.release();
    this.#wire?.release();
    this.#wire = null;
    this.#pinConnected = false;
    this.#bus = null;
    this.#updateBusMaster();
  }

  /** Reads configuration space within one naturally aligned dword. */
  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > this.configSize) return 0xffff_ffff >>> (32 - 8 * size);
    for (const hook of this.#hooks) {
      if (offset < hook.end && offset + size > hook.start) hook.beforeRead?.();
    }
    return this.config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size > this.configSize) return;
    const hooks = this.#hooks.filter(({ start, end }) => offset < end && offset + size > start);
    for (const hook of hooks) hook.beforeWrite?.();
    this.config.write(offset, size, value);
    if (offset < REG.firstCapability) this.refresh();
    for (const hook of hooks) hook.afterWrite?.();
  }

  /** The level of the interrupt pin, before the command register's interrupt disable bit. */
  setInterrupt(level: boolean): void {
    if (level === this.#interrupt) return;
    this.#interrupt = level;
    this.#updateWire();
  }

  /**
   * From now on signals of `fd` assert the pin inside the kernel until the guest ends the interrupt, which signals
   * `resampleFd` (`InterruptLine.connect`), as long as the guest has not disabled the pin.
   */
  connectInterrupt(fd: number, resampleFd?: number): void {
    this.#connectPin(false);
    this.#pinFds.set(fd, resampleFd);
    this.#updateWire();
  }

  disconnectInterrupt(fd: number): void {
    this.#connectPin(false);
    this.#pinFds.delete(fd);
    this.#updateWire();
  }

  /** Maps the BARs according to configuration space and the upstream bridges. */
  refresh(): void {
    const bus = this.#bus;
    if (bus === null) return;
    const command = this.decodes ? this.config.u16(REG.command) : 0;
    for (const bar of this.bars) {
      const enabled = (command & (bar.space === 'port' ? COMMAND.io : COMMAND.memory)) !== 0;
      const address = enabled ? bar.programmed : null;
      const reached = address !== null && bus.forwards(bar.space, address, bar.size);
      bar.place(bus.space(bar.space), reached ? address : null);
    }
    this.#updateWire();
    this.#updateBusMaster();
  }

  reset(): void {
    this.config.reset();
    this.#interrupt = false;
    this.refresh();
  }

  /** The bus resets the function and its device. */
  busReset(): void {
    this.reset();
    for (const hook of this.#resetHooks) hook();
  }

  /** Called by the bus. */
  busResetDone(): void {
    for (const hook of this.#resetDoneHooks) hook();
  }

  save(): DeviceState {
    return { config: this.config.save(), interrupt: this.#interrupt };
  }

  load(state: DeviceState): void {
    this.config.load(bytesOf(state, 'config'));
    this.#interrupt = state.interrupt === true;
    this.refresh();
  }

  /** Unplugs the function, if it is plugged in. */
  close(): void {
    this.#bus?.unplug(this);
  }

  /** Whether its BARs respond, regardless of the command register: not in a low power state. */
  protected get decodes(): boolean {
    return true;
  }

  /** A conventional bus cannot reach the extended part (PCI Express to PCI Bridge 1.0 §3.2). */
  protected get configSize(): number {
    return this.#bus?.type === 'conventional' ? CONFIG_SIZE : EXTENDED_CONFIG_SIZE;
  }

  #updateWire(): void {
    const status = this.config.u8(REG.status) & ~STATUS.interrupt;
    this.config.setU8(REG.status, this.#interrupt ? status | STATUS.interrupt : status);
    const enabled = (this.config.u16(REG.command) & COMMAND.interruptDisable) === 0;
    this.#wire?.set(this.#interrupt && enabled);
    this.#connectPin(enabled);
  }

  #connectPin(connected: boolean): void {
    const wire = this.#wire;
    if (wire === null || connected === this.#pinConnected) return;
    this.#pinConnected = connected;
    for (const [fd, resampleFd] of this.#pinFds) {
      if (connected) wire.connect(fd, resampleFd);
      else wire.disconnect(fd);
    }
  }

  #updateBusMaster(): void {
    const own = (this.config.u16(REG.command) & COMMAND.busMaster) !== 0;
    const busMaster = own && this.#bus?.busMaster === true;
    if (busMaster === this.#busMaster) return;
    this.#busMaster = busMaster;
    for (const hook of this.#busMasterHooks) hook(busMaster);
  }
}
