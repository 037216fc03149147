import type { Bus } from '../bus.ts';
import type { AccessSize, Device, DeviceState, InterruptLine } from '../device.ts';
import { bytesOf } from '../state.ts';
import { Bar, type BarOptions } from './bar.ts';
import { ConfigSpace } from './config-space.ts';
import { COMMAND, EXTENDED_CONFIG_SIZE, REG, STATUS, STATUS_CLEARABLE } from './registers.ts';

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
  /** Called after the guest wrote some of [start, end). */
  readonly afterWrite?: () => void;
};

/** What a function needs from its bus. */
export interface PciSlot {
  readonly type: 'root' | 'link';
  /** The bus that BARs of this kind are mapped into. */
  space(space: 'port' | 'memory'): Bus;
  /** Whether accesses to this range reach the bus. */
  forwards(space: 'port' | 'memory', address: number, size: number): boolean;
  /** A new end of the wire that the INTA# pin in `slot` drives. */
  interruptWire(slot: number): InterruptLine;
}

/**
 * One PCI function: configuration space, the BARs it controls, and the INTx pin. A device model owns one and adds
 * BARs and capabilities to it; a PciBus gives it a slot, buses to map into and an interrupt wire.
 */
export class PciFunction implements Device {
  readonly name: string;
  readonly config = new ConfigSpace();
  readonly bars: Bar[] = [];
  readonly #hooks: ConfigHook[] = [];
  readonly #attachHooks: ((bus: PciSlot) => void)[] = [];
  #bus: PciSlot | null = null;
  #slot = 0;
  #wire: InterruptLine | null = null;
  #interrupt = false;

  constructor(name: string, identity: PciIdentity, headerType: 0 | 1 = 0) {
    this.name = name;
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

  addBar(index: number, options: BarOptions): Bar {
    const bar = new Bar(this.name, index, this.config, options);
    this.bars.push(bar);
    return bar;
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

  /** Gives the function pin INTA#. */
  addInterruptPin(): void {
    this.config.define(REG.interruptPin, 1, 1);
  }

  get hasInterruptPin(): boolean {
    return this.config.u8(REG.interruptPin) !== 0;
  }

  /** Its slot on that bus. */
  get slot(): number {
    return this.#slot;
  }

  /** Called by the bus that it is plugged into. */
  attach(bus: PciSlot, slot: number): void {
    this.#bus = bus;
    this.#slot = slot;
    this.#wire = bus.interruptWire(slot);
    for (const hook of this.#attachHooks) hook(bus);
  }

  /** Reads configuration space within one naturally aligned dword. */
  readConfig(offset: number, size: AccessSize): number {
    if (offset + size > EXTENDED_CONFIG_SIZE) return 0xffff_ffff >>> (32 - 8 * size);
    for (const hook of this.#hooks) {
      if (offset < hook.end && offset + size > hook.start) hook.beforeRead?.();
    }
    return this.config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    if (offset + size > EXTENDED_CONFIG_SIZE) return;
    this.config.write(offset, size, value);
    if (offset < REG.firstCapability) this.refresh();
    for (const hook of this.#hooks) {
      if (offset < hook.end && offset + size > hook.start) hook.afterWrite?.();
    }
  }

  /** The level of pin INTA#, before the command register's interrupt disable bit. */
  setInterrupt(level: boolean): void {
    if (level === this.#interrupt) return;
    this.#interrupt = level;
    this.#updateWire();
  }

  /** Maps the BARs as configuration space and the upstream bridges specify. */
  refresh(): void {
    const bus = this.#bus;
    if (bus === null) return;
    const command = this.config.u16(REG.command);
    for (const bar of this.bars) {
      const enabled = (command & (bar.space === 'port' ? COMMAND.io : COMMAND.memory)) !== 0;
      const address = enabled ? bar.programmed : null;
      const reached = address !== null && bus.forwards(bar.space, address, bar.size);
      bar.place(bus.space(bar.space), reached ? address : null);
    }
    this.#updateWire();
  }

  reset(): void {
    this.config.reset();
    this.#interrupt = false;
    this.refresh();
  }

  save(): DeviceState {
    return { config: this.config.save(), interrupt: this.#interrupt };
  }

  load(state: DeviceState): void {
    this.config.load(bytesOf(state, 'config'));
    this.#interrupt = state.interrupt === true;
    this.refresh();
  }

  #updateWire(): void {
    const status = this.config.u8(REG.status) & ~STATUS.interrupt;
    this.config.setU8(REG.status, this.#interrupt ? status | STATUS.interrupt : status);
    const disabled = (this.config.u16(REG.command) & COMMAND.interruptDisable) !== 0;
    this.#wire?.set(this.#interrupt && !disabled);
  }
}
