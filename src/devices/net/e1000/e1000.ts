import type { AccessSize, Device, DeviceState } from '../../device.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { PowerManagement } from '../../pci/power-management.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { CardParts } from '../nic-rows.ts';
import { SerialEeprom } from '../serial-eeprom.ts';
import { eepromWords, wakesByApm } from './eeprom-contents.ts';
import { Interrupts } from './interrupts.ts';
import { GigabitPhy } from './phy.ts';
import { Receive } from './receive.ts';
import {
  AV,
  CAUSE,
  CAUSES,
  CTRL,
  EECD,
  EERD,
  FPD,
  MDIC,
  RCTL,
  REG,
  REGISTER_BYTES,
  STATUS,
  STORED,
  WRITABLE,
} from './registers.ts';
import { FIRST_STATISTIC, LAST_STATISTIC, Statistics } from './statistics.ts';
import { Transmit } from './transmit.ts';
import { WakeUp } from './wake-up.ts';

const MEMORY_BAR_BYTES = 0x2_0000;
/** Register access through ports (§13.2.2): the register's offset at port 0, its value at port 4. */
const IO_BAR_PORTS = 64;
const IODATA = 4;
const PHY_ADDRESS = 1;

/** Register values after a reset; others are 0. The link is added to STATUS when it is read. */
const INITIAL: Readonly<Record<number, number>> = {
  [REG.CTRL]: CTRL.FD | CTRL.ASDE | CTRL.SLU | CTRL.SPEED_1000,
  [REG.STATUS]: STATUS.FD | STATUS.SPEED_1000 | STATUS.ASDV_1000,
  [REG.VET]: 0x8100,
  [REG.LEDCTL]: 0x0706_8302,
  // 48 of the 64 KiB of the packet buffer are for receiving.
  [REG.PBA]: 0x0010_0030,
  [REG.TIPG]: 0x0060_2008,
  [REG.TXDMAC]: 1,
};

/** The bits of each word that keep what is written to them. */
const MASKS = new Uint32Array(REGISTER_BYTES / 4);
for (const [first, last] of STORED) MASKS.fill(0xffff_ffff, first, last + 1);
for (const [register, mask] of Object.entries(WRITABLE)) MASKS[Number(register)] = mask;

/** An Intel 82540EM, a gigabit card on PCI. Received checksums are left to the driver (IXSM). */
export class E1000 implements Device {
  readonly name: string;
  readonly function: PciFunction;
  readonly #words = new Uint32Array(REGISTER_BYTES / 4);
  readonly #port: CardParts['port'];
  readonly #eeprom: SerialEeprom;
  readonly #phy: GigabitPhy;
  readonly #interrupts: Interrupts;
  readonly #statistics: Statistics;
  readonly #receive: Receive;
  readonly #transmit: Transmit;
  readonly #power: PowerManagement;
  readonly #wakeUp: WakeUp;
  #ioAddress = 0;

  constructor({ name, mac, port, services }: CardParts) {
    this.name = name;
    this.#port = port;
    const fn = new PciFunction(name, {
      ...{ vendor: 0x8086, device: 0x100e, revision: 3, classCode: 0x020000 },
      ...{ subsystemVendor: 0x8086, subsystem: 0x001e },
    });
    this.function = fn;
    fn.addBar(0, {
      ...{ kind: 'memory32', size: MEMORY_BAR_BYTES },
      handler: {
        read: (offset, size) => this.#readMemory(offset, size),
        write: (offset, size, value) => {
          if (size === 4) this.#write(offset >>> 2, value);
        },
      },
    });
    fn.addBar(1, {
      ...{ kind: 'io', size: IO_BAR_PORTS },
      handler: {
        read: (offset, size) => this.#readPort(offset, size),
        write: (offset, size, value) => this.#writePort(offset, size, value),
      },
    });
    fn.addInterruptPin();
    const onPme = () => services.request({ kind: 'wake', by: 'network' });
    const power = new PowerManagement(fn, { softReset: true, onPme });
    this.#power = power;

    const words = this.#words;
    const memory = new BusMaster(fn, services.memory);
    this.#eeprom = new SerialEeprom(eepromWords(mac, fn));
    this.#phy = new GigabitPhy(() => port.up);
    this.#statistics = new Statistics(words);
    this.#interrupts = new Interrupts(words, services.clock, level => {
      fn.setInterrupt(level);
      if (level) port.interrupted('receive');
    });
    const parts = { words, memory, interrupts: this.#interrupts, statistics: this.#statistics };
    this.#receive = new Receive(parts);
    this.#transmit = new Transmit({
      ...parts,
      ...{ port, clock: services.clock },
      loopback: () => this.#phy.loopback || (words[REG.RCTL]! & RCTL.LBM) !== 0,
      deliver: frame => this.#receive.receive(frame),
    });
    this.#wakeUp = new WakeUp({
      ...{ words, power },
      addressed: frame => this.#receive.addressed(frame),
      startsWithApm: () => wakesByApm(this.#eeprom.words),
    });
    port.onFrame = frame => {
      this.#wakeUp.arrived(frame);
      return power.isOn ? this.#receive.receive(frame) : 'dropped';
    };
    port.onReady = () => this.#transmit.work();
    port.onLink = () => {
      this.#wakeUp.linkChanged();
      if (this.#phy.isOn) this.#interrupts.raise(CAUSE.LSC);
    };
    fn.onBusMaster(() => this.#memoryChanged());
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
    this.#interrupts.quiesce();
    this.#transmit.quiesce();
    done();
  }

  resume(): void {
    this.#interrupts.resume();
    this.#port.resume();
    this.#transmit.resume();
  }

  save(): DeviceState {
    return {
      pci: this.function.save(),
      words: new Uint8Array(this.#words.slice().buffer),
      ioAddress: this.#ioAddress,
      eeprom: this.#eeprom.save(),
      eepromWords: this.#eeprom.saveWords(),
      phy: this.#phy.save(),
      interrupts: this.#interrupts.save(),
      transmit: this.#transmit.save(),
      port: this.#port.save(),
    };
  }

  load(state: DeviceState): void {
    const words = bytesOf(state, 'words');
    if (words.length !== REGISTER_BYTES) throw new DeviceStateError('words', 'registers of the card');
    const ioAddress = numberOf(state, 'ioAddress', 0xffff_ffff);
    this.#port.load(stateOf(state, 'port'));
    this.#eeprom.load(stateOf(state, 'eeprom'));
    this.#eeprom.loadWords(state, 'eepromWords');
    this.#phy.load(stateOf(state, 'phy'));
    this.#transmit.load(stateOf(state, 'transmit'));
    this.function.load(stateOf(state, 'pci'));
    this.#power.loaded();
    new Uint8Array(this.#words.buffer).set(words);
    this.#ioAddress = ioAddress;
    this.#interrupts.load(stateOf(state, 'interrupts'));
  }

  close(): void {
    this.#interrupts.quiesce();
    this.#transmit.quiesce();
    this.#port.close();
    this.function.close();
  }

  #resetDevice(): void {
    this.#eeprom.reset();
    this.#phy.reset();
    this.#ioAddress = 0;
    this.#resetMac();
  }

  /** CTRL.RST: resets all but the PHY and configuration space. */
  #resetMac(): void {
    const words = this.#words;
    this.#wakeUp.resetOthers();
    for (const [register, value] of Object.entries(INITIAL)) words[Number(register)] = value;
    const [low = 0, middle = 0, high = 0] = this.#eeprom.words;
    words[REG.RAL] = low | (middle << 16);
    words[REG.RAL + 1] = AV + high;
    this.#transmit.reset();
    this.#interrupts.reset();
    this.#port.reset();
  }

  #readMemory(offset: number, size: AccessSize): number {
    const value = this.#read(offset >>> 2);
    return size === 4 ? value : value >>> (8 * (offset & 3));
  }

  #readPort(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (offset === 0) return this.#ioAddress;
    return offset === IODATA ? this.#read(this.#ioAddress >>> 2) : 0;
  }

  #writePort(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === 0) this.#ioAddress = value;
    else if (offset === IODATA) this.#write(this.#ioAddress >>> 2, value);
  }

  #read(register: number): number {
    switch (register) {
      case REG.STATUS:
        return this.#words[register]! | (this.#phy.link ? STATUS.LU : 0);
      case REG.EECD:
        return this.#readEeprom();
      case REG.ICR:
        return this.#interrupts.acknowledge();
      case REG.WUC:
        return this.#wakeUp.readControl();
      case REG.ICS:
      case REG.IMC:
        return 0;
      default:
        if (register >= FIRST_STATISTIC && register <= LAST_STATISTIC) return this.#statistics.read(register);
        return this.#words[register] ?? 0;
    }
  }

  #write(register: number, value: number): void {
    const words = this.#words;
    const mask = MASKS[register] ?? 0;
    if (mask !== 0) words[register] = (words[register]! & ~mask) | (value & mask);
    switch (register) {
      case REG.CTRL:
        this.#writeControl(value);
        return;
      case REG.EECD:
        words[register] = value & (EECD.SK | EECD.CS | EECD.DI | EECD.FWE | EECD.REQ);
        this.#eeprom.setPins((value & EECD.CS) !== 0, (value & EECD.SK) !== 0, (value & EECD.DI) !== 0);
        return;
      case REG.EERD:
        this.#readEepromWord(value);
        return;
      case REG.MDIC:
        this.#accessPhy(value);
        return;
      case REG.ICR:
        words[register]! &= ~value;
        this.#interrupts.update();
        return;
      case REG.ICS:
        this.#interrupts.raise(value);
        return;
      case REG.IMS:
        words[register]! |= value & CAUSES;
        this.#interrupts.update();
        return;
      case REG.IMC:
        words[REG.IMS]! &= ~value;
        this.#interrupts.update();
        return;
      case REG.WUC:
        this.#wakeUp.writeControl(value);
        return;
      case REG.WUS:
        words[register]! &= ~value;
        return;
      case REG.RDTR:
        if ((value & FPD) !== 0) this.#interrupts.flush('receive');
        return;
      case REG.TIDV:
        if ((value & FPD) !== 0) this.#interrupts.flush('transmit');
        return;
      case REG.RCTL:
      case REG.RDLEN:
      case REG.RDH:
      case REG.RDT:
        this.#port.roomAgain();
        return;
      case REG.TCTL:
      case REG.TDT:
        this.#transmit.work();
        return;
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

  #readEeprom(): number {
    const written = this.#words[REG.EECD]!;
    const granted = (written & EECD.REQ) !== 0 ? EECD.GNT : 0;
    return written | granted | EECD.PRES | (this.#eeprom.output ? EECD.DO : 0);
  }

  /** EERD: reads a word immediately. */
  #readEepromWord(value: number): void {
    const address = (value >>> EERD.addressShift) & 0xff;
    const word = this.#eeprom.words[address] ?? 0;
    this.#words[REG.EERD] =
      (value & EERD.START) === 0
        ? value & (0xff << EERD.addressShift)
        : (word << EERD.dataShift) | (address << EERD.addressShift) | EERD.DONE;
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
    if ((value & MDIC.I) !== 0) this.#interrupts.raise(CAUSE.MDAC);
  }

  #linkMayHaveChanged(before: boolean): void {
    if (this.#phy.link !== before) this.#interrupts.raise(CAUSE.LSC);
  }

  /** Called when the guest has allowed the card to access memory, or revoked that. */
  #memoryChanged(): void {
    this.#port.roomAgain();
    this.#transmit.work();
  }
}
