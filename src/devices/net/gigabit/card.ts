import type { AccessSize, Device, DeviceState, IoHandler } from '../../device.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction, type PciIdentity } from '../../pci/pci-function.ts';
import type { PowerManagement } from '../../pci/power-management.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { cardPower } from '../card-power.ts';
import type { NicPort } from '../nic-port.ts';
import type { CardParts } from '../nic-rows.ts';
import { FrameFilter } from './frame-filter.ts';
import { GigabitPhy, type PhyModel } from './phy.ts';
import type { Receive } from './receive.ts';
import { AV, CAUSE, CTRL, FPD, MDIC, REG, REGISTER_BYTES, STATUS } from './registers.ts';
import { Statistics } from './statistics.ts';
import type { Transmit } from './transmit.ts';
import { WakeUp } from './wake-up.ts';

/** Register access through ports (§13.2.2): the register's offset at port 0, its value at port 4. */
const IODATA = 4;
const PHY_ADDRESS = 1;

/** What distinguishes a model. */
export type GigabitModel = {
  readonly identity: PciIdentity;
  /** The bits of each word that keep what is written to them. */
  readonly masks: Uint32Array;
  /** Register values after a reset; others are 0. The link is added to STATUS when it is read. */
  readonly initial: Readonly<Record<number, number>>;
  /** By word, the word that it is an alias of, or itself. */
  readonly aliases?: Uint16Array;
  /** The last of the statistics registers. */
  readonly lastStatistic: number;
  readonly phy: PhyModel;
};

/** A model's interrupts. */
export interface CardInterrupts {
  raise(causes: number): void;
  /** ICR is read. */
  acknowledge(): number;
  /** The driver writes one of ICR, ICS, IMS and IMC. */
  write(register: number, value: number): void;
  /** The driver cuts a delay short. */
  flush(direction: 'receive' | 'transmit'): void;
  reset(): void;
  quiesce(): void;
  resume(): void;
  save(): DeviceState;
  load(state: DeviceState): void;
}

/** What the parts of a model are built from, besides its interrupts. */
export type GigabitCore = {
  readonly function: PciFunction;
  readonly words: Uint32Array;
  readonly memory: BusMaster;
  readonly port: NicPort;
  readonly statistics: Statistics;
  readonly filter: FrameFilter;
  readonly phy: GigabitPhy;
};

/** The rings and interrupts of a model, and what it has of its own. */
export type GigabitParts = {
  readonly interrupts: CardInterrupts;
  readonly receive: Receive;
  readonly transmits: readonly Transmit[];
  /** The contents of its EEPROM: the first three words are its address. */
  readonly eeprom: Uint16Array;
  /** Whether magic packets wake the machine after power-on. */
  readonly wakesByApm: () => boolean;
  /** Reads one of its own registers; null for others. */
  readonly read: (register: number) => number | null;
  /** A register has been written. */
  readonly written: (register: number, value: number) => void;
  /** The device is reset, but not only by CTRL.RST. */
  readonly reset: () => void;
  readonly save: () => DeviceState;
  /** @throws DeviceStateError */
  readonly load: (state: DeviceState) => void;
  readonly close?: () => void;
};

/** What Intel's gigabit controllers on PCI and PCI Express have in common. */
export class GigabitCard implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly #words = new Uint32Array(REGISTER_BYTES / 4);
  readonly #model: GigabitModel;
  readonly #port: NicPort;
  readonly #phy: GigabitPhy;
  readonly #statistics: Statistics;
  readonly #power: PowerManagement;
  readonly #wakeUp: WakeUp;
  readonly #parts: GigabitParts;
  #ioAddress = 0;

  /** @param build the parts of the model, whose function gets its own capabilities and BARs here */
  constructor(
    model: GigabitModel,
    { name, port, services }: CardParts,
    build: (core: GigabitCore, registers: { memory: IoHandler; ports: IoHandler }) => GigabitParts,
  ) {
    this.name = name;
    this.#model = model;
    this.#port = port;
    const fn = new PciFunction(name, model.identity);
    this.function = fn;
    fn.addInterruptPin();
    const power = cardPower(fn, port, services, true);
    this.#power = power;

    const words = this.#words;
    this.#phy = new GigabitPhy(model.phy, () => port.up);
    this.#statistics = new Statistics(words, model.lastStatistic);
    const filter = new FrameFilter(words);
    const parts = build(
      {
        ...{ function: fn, words, port, filter, phy: this.#phy, statistics: this.#statistics },
        memory: new BusMaster(fn, services.memory),
      },
      { memory: this.#memorySpace, ports: this.#portSpace },
    );
    this.#parts = parts;
    this.#wakeUp = new WakeUp({
      ...{ words, power },
      addressed: frame => filter.addressed(frame),
      startsWithApm: parts.wakesByApm,
    });
    port.onFrame = frame => {
      this.#wakeUp.arrived(frame);
      return power.isOn ? parts.receive.receive(frame) : 'dropped';
    };
    port.onReady = () => this.#transmit();
    port.onLink = () => {
      this.#wakeUp.linkChanged();
      if (this.#phy.isOn) parts.interrupts.raise(CAUSE.LSC);
    };
    fn.onBusMaster(() => {
      port.roomAgain();
      this.#transmit();
    });
    fn.onBusReset(() => this.#resetDevice());
    this.#resetDevice();
    this.#wakeUp.powerOn();
  }

  reset(): void {
    this.function.reset();
    this.#resetDevice();
    this.#wakeUp.powerOn();
  }

  resetFromSleep(): void {
    this.function.reset();
    this.#power.wake();
    this.#resetDevice();
  }

  quiesce(done: () => void): void {
    this.#port.quiesce();
    this.#parts.interrupts.quiesce();
    for (const transmit of this.#parts.transmits) transmit.quiesce();
    done();
  }

  resume(): void {
    this.#parts.interrupts.resume();
    this.#port.resume();
    for (const transmit of this.#parts.transmits) transmit.resume();
  }

  save(): DeviceState {
    return {
      pci: this.function.save(),
      words: new Uint8Array(this.#words.slice().buffer),
      ioAddress: this.#ioAddress,
      phy: this.#phy.save(),
      interrupts: this.#parts.interrupts.save(),
      port: this.#port.save(),
      ...this.#parts.save(),
    };
  }

  load(state: DeviceState): void {
    const words = bytesOf(state, 'words');
    if (words.length !== REGISTER_BYTES) throw new DeviceStateError('words', 'registers of the card');
    const ioAddress = numberOf(state, 'ioAddress', 0xffff_ffff);
    this.#port.load(stateOf(state, 'port'));
    this.#parts.load(state);
    this.#phy.load(stateOf(state, 'phy'));
    this.function.load(stateOf(state, 'pci'));
    this.#power.loaded();
    new Uint8Array(this.#words.buffer).set(words);
    this.#checkWords();
    this.#ioAddress = ioAddress;
    this.#parts.interrupts.load(stateOf(state, 'interrupts'));
  }

  close(): void {
    this.#parts.interrupts.quiesce();
    for (const transmit of this.#parts.transmits) transmit.quiesce();
    this.#port.close();
    this.function.close();
    this.#parts.close?.();
  }

  /** Clears what no driver can have set: rings of impossible sizes, for instance. */
  #checkWords(): void {
    const words = this.#words;
    const { masks, initial } = this.#model;
    for (const [register, mask] of masks.entries()) if (mask !== 0) words[register]! &= mask;
    words[REG.STATUS] = initial[REG.STATUS]!;
  }

  #resetDevice(): void {
    this.#parts.reset();
    this.#phy.reset();
    this.#ioAddress = 0;
    this.#resetMac();
  }

  /** CTRL.RST: resets all but the PHY and configuration space. */
  #resetMac(): void {
    const words = this.#words;
    this.#wakeUp.resetOthers();
    for (const [register, value] of Object.entries(this.#model.initial)) words[Number(register)] = value;
    const [low = 0, middle = 0, high = 0] = this.#parts.eeprom;
    words[REG.RAL] = low | (middle << 16);
    words[REG.RAL + 1] = AV + high;
    for (const transmit of this.#parts.transmits) transmit.reset();
    this.#parts.interrupts.reset();
    this.#port.reset();
  }

  #transmit(): void {
    for (const transmit of this.#parts.transmits) transmit.work();
  }

  /** The registers in memory. */
  readonly #memorySpace: IoHandler = {
    read: (offset, size) => {
      const value = this.#read(offset >>> 2);
      return size === 4 ? value : value >>> (8 * (offset & 3));
    },
    write: (offset, size, value) => {
      if (size === 4) this.#write(offset >>> 2, value);
    },
  };

  readonly #portSpace: IoHandler = {
    read: (offset: number, size: AccessSize) => {
      if (size !== 4) return 0;
      if (offset === 0) return this.#ioAddress;
      return offset === IODATA ? this.#read(this.#ioAddress >>> 2) : 0;
    },
    write: (offset: number, size: AccessSize, value: number) => {
      if (size !== 4) return;
      if (offset === 0) this.#ioAddress = value;
      else if (offset === IODATA) this.#write(this.#ioAddress >>> 2, value);
    },
  };

  #read(address: number): number {
    const register = this.#model.aliases?.[address] ?? address;
    const own = this.#parts.read(register);
    if (own !== null) return own;
    switch (register) {
      case REG.STATUS:
        return this.#words[register]! | (this.#phy.link ? STATUS.LU : 0);
      case REG.ICR:
        return this.#parts.interrupts.acknowledge();
      case REG.WUC:
        return this.#wakeUp.readControl();
      default:
        return this.#statistics.read(register) ?? this.#words[register] ?? 0;
    }
  }

  #write(address: number, value: number): void {
    const register = this.#model.aliases?.[address] ?? address;
    const words = this.#words;
    const mask = this.#model.masks[register] ?? 0;
    if (mask !== 0) words[register] = (words[register]! & ~mask) | (value & mask);
    switch (register) {
      case REG.CTRL:
        this.#writeControl(value);
        return;
      case REG.MDIC:
        this.#accessPhy(value);
        return;
      case REG.ICR:
      case REG.ICS:
      case REG.IMS:
      case REG.IMC:
        this.#parts.interrupts.write(register, value);
        return;
      case REG.WUC:
        this.#wakeUp.writeControl(value);
        return;
      case REG.WUS:
        words[register]! &= ~value;
        return;
      case REG.RDTR:
        if ((value & FPD) !== 0) this.#parts.interrupts.flush('receive');
        return;
      case REG.TIDV:
        if ((value & FPD) !== 0) this.#parts.interrupts.flush('transmit');
        return;
      case REG.RCTL:
      case REG.RDLEN:
      case REG.RDH:
      case REG.RDT:
        this.#port.roomAgain();
        return;
      case REG.TCTL:
        this.#transmit();
        return;
      case REG.TDT:
        this.#parts.transmits[0]!.work();
        return;
      default:
        this.#parts.written(register, value);
    }
  }

  #writeControl(value: number): void {
    if ((value & CTRL.RST) !== 0) {
      this.#resetMac();
      return;
    }
    this.#words[REG.CTRL] = value & ~CTRL.PHY_RST;
    if ((value & CTRL.PHY_RST) === 0) return;
    const before = this.#phy.link;
    this.#phy.reset();
    this.#linkMayHaveChanged(before);
  }

  #accessPhy(value: number): void {
    const register = (value >>> MDIC.registerShift) & 31;
    const operation = (value >>> MDIC.operationShift) & 3;
    const isOwn = ((value >>> MDIC.phyShift) & 31) === PHY_ADDRESS;
    const before = this.#phy.link;
    let result = (value & ~MDIC.E) | MDIC.R;
    if (!isOwn || (operation !== MDIC.READ && operation !== MDIC.WRITE)) result |= MDIC.E;
    else if (operation === MDIC.READ) result = (result & ~0xffff) | this.#phy.read(register);
    else this.#phy.write(register, value & 0xffff);
    this.#words[REG.MDIC] = result;
    this.#linkMayHaveChanged(before);
    if ((value & MDIC.I) !== 0) this.#parts.interrupts.raise(CAUSE.MDAC);
  }

  #linkMayHaveChanged(before: boolean): void {
    if (this.#phy.link !== before) this.#parts.interrupts.raise(CAUSE.LSC);
  }
}
