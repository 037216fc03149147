import type { AccessSize, Device, DeviceState, IoHandler } from '../../device.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction, type PciIdentity } from '../../pci/pci-function.ts';
import type { PowerManagement } from '../../pci/power-management.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { cardPower } from '../card-power.ts';
import { MiiPhy } from '../mii-phy.ts';
import type { CardParts } from '../nic-rows.ts';
import { SerialEeprom } from '../serial-eeprom.ts';
import { CommandUnit } from './command-unit.ts';
import { eepromWords } from './eeprom-contents.ts';
import { ReceiveUnit } from './receive-unit.ts';
import { COUNTERS, CSR, CSR_BYTES, EEPROM_PIN, MASK, MDI, PORT, STAT } from './registers.ts';
import { Counters } from './statistics.ts';
import { WakeUp } from './wake-up.ts';

const MEMORY_BAR_BYTES = 4096;
/** The ID of an 82555, which is integrated in the 82559 and the 82551. */
const PHY_ID = 0x02a8_0154;
const PHY_ADDRESS = 1;
/** The value of a bus without a PHY. */
const NO_PHY = 0xffff;
/** The signature that a self-test writes, and its result on success. */
const SELF_TEST_SIGNATURE = 0xffff_ffff;
const STATUS_LINK = 0x01;
const STATUS_100 = 0x02;
const STATUS_DUPLEX = 0x04;

export type Model = {
  readonly identity: Pick<PciIdentity, 'device' | 'revision'>;
  /** Whether it has the 82558's additions. */
  readonly isExtended: boolean;
  /** The wake events that it supports; null if it has no power management. */
  readonly wakesBy: 'all' | 'no magic' | null;
};

/** An Intel 8255x, a 10/100 Mbit/s card. */
export class I8255x implements Device {
  readonly name: string;
  readonly function: PciFunction;
  /** The stored values of registers: the pointer, PORT, MDI control and the like. */
  readonly #csr = new Uint8Array(CSR_BYTES);
  readonly #view = new DataView(this.#csr.buffer);
  readonly #port: CardParts['port'];
  readonly #memory: BusMaster;
  readonly #eeprom: SerialEeprom;
  readonly #phy = new MiiPhy(PHY_ID);
  readonly #counters = new Counters();
  readonly #commands: CommandUnit;
  readonly #receive: ReceiveUnit;
  readonly #power: PowerManagement | null;
  readonly #wakeUp: WakeUp | null;
  /** STAT/ACK. */
  #causes = 0;
  #level = false;

  constructor({ name, mac, port, services }: CardParts, { identity, isExtended, wakesBy }: Model) {
    this.name = name;
    this.#port = port;
    const fn = new PciFunction(name, {
      ...{ vendor: 0x8086, classCode: 0x020000, ...identity },
      ...{ subsystemVendor: 0x8086, subsystem: 0x0040 },
    });
    this.function = fn;
    const handler: IoHandler = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    fn.addBar(0, { kind: 'memory32', size: MEMORY_BAR_BYTES, prefetchable: true, handler });
    fn.addBar(1, { kind: 'io', size: CSR_BYTES, handler });
    fn.addInterruptPin();
    const power = wakesBy && cardPower(fn, port, services, true);
    this.#power = power;

    const memory = new BusMaster(fn, services.memory);
    this.#memory = memory;
    this.#eeprom = new SerialEeprom(eepromWords(mac, wakesBy === 'all'));
    const raise = (causes: number) => this.#raise(causes);
    const counters = this.#counters;
    this.#commands = new CommandUnit(
      {
        ...{ memory, port, counters, isExtended, raise },
        clock: services.clock,
        deliver: frame => this.#receive.receive(frame),
      },
      mac,
    );
    this.#receive = new ReceiveUnit({ memory, port, counters, commands: this.#commands, raise });
    this.#wakeUp =
      power &&
      new WakeUp({
        ...{ power, station: this.#commands, knowsMagic: wakesBy === 'all' },
        passes: frame => this.#receive.passes(frame),
      });
    port.onFrame = frame => {
      this.#wakeUp?.arrived(frame);
      return (power?.isOn ?? true) ? this.#receive.receive(frame) : 'dropped';
    };
    port.onReady = () => this.#commands.work();
    port.onLink = up => {
      this.#phy.link = up;
      this.#wakeUp?.linkChanged();
    };
    fn.onBusMaster(() => {
      port.roomAgain();
      this.#commands.work();
    });
    fn.onBusReset(() => this.#resetDevice());
    this.#resetDevice();
  }

  reset(): void {
    this.function.reset();
    this.#resetDevice();
    this.#wakeUp?.powerOn();
  }

  resetFromSleep(): void {
    this.function.reset();
    this.#power?.wake();
    this.#resetDevice();
  }

  quiesce(done: () => void): void {
    this.#port.quiesce();
    this.#commands.quiesce();
    done();
  }

  resume(): void {
    this.#port.resume();
    this.#commands.resume();
  }

  save(): DeviceState {
    return {
      pci: this.function.save(),
      csr: this.#savedCsr,
      causes: this.#causes,
      counters: new Uint8Array(this.#counters.words.slice().buffer),
      commands: this.#commands.save(),
      receive: this.#receive.save(),
      eeprom: this.#eeprom.save(),
      eepromWords: this.#eeprom.saveWords(),
      phy: this.#phy.save(),
      port: this.#port.save(),
    };
  }

  load(state: DeviceState): void {
    const [csr, counters] = [bytesOf(state, 'csr'), bytesOf(state, 'counters')];
    if (csr.length !== CSR_BYTES) throw new DeviceStateError('csr', 'registers of the card');
    if (counters.length !== 4 * COUNTERS) throw new DeviceStateError('counters', 'counters of the card');
    const causes = numberOf(state, 'causes', 0xff);
    this.#port.load(stateOf(state, 'port'));
    this.#eeprom.load(stateOf(state, 'eeprom'));
    this.#eeprom.loadWords(state, 'eepromWords');
    this.#phy.load(stateOf(state, 'phy'));
    this.#commands.load(stateOf(state, 'commands'));
    this.#receive.load(stateOf(state, 'receive'));
    this.function.load(stateOf(state, 'pci'));
    this.#power?.loaded();
    this.#wakeUp?.load(csr[CSR.pmdr]!);
    this.#csr.set(csr);
    new Uint8Array(this.#counters.words.buffer).set(counters);
    this.#causes = causes;
    this.#phy.link = this.#port.up;
    this.#updateInterrupt();
  }

  close(): void {
    this.#commands.quiesce();
    this.#port.close();
    this.function.close();
  }

  get #savedCsr(): Uint8Array {
    const csr = this.#csr.slice();
    csr[CSR.pmdr] = this.#wakeUp?.register ?? 0;
    return csr;
  }

  #resetDevice(): void {
    this.#eeprom.reset();
    this.#phy.reset();
    this.#phy.link = this.#port.up;
    this.#resetController();
  }

  /** PORT's software reset: resets all but the PHY and EEPROM. */
  #resetController(): void {
    this.#csr.fill(0);
    this.#view.setUint32(CSR.mdiControl, MDI.ready, true);
    this.#counters.words.fill(0);
    this.#commands.reset();
    this.#receive.reset();
    this.#causes = 0;
    this.#port.reset();
    this.#updateInterrupt();
  }

  #read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  #readByte(offset: number): number {
    switch (offset) {
      case CSR.scbStatus:
        return (this.#commands.state << 6) | (this.#receive.state << 2);
      case CSR.statAck:
        return this.#causes;
      case CSR.scbCommand:
        // The command has been accepted.
        return 0;
      case CSR.eepromControl:
        return (this.#csr[offset]! & ~EEPROM_PIN.do) | (this.#eeprom.output ? EEPROM_PIN.do : 0);
      case CSR.pmdr:
        return this.#wakeUp?.register ?? 0;
      case CSR.generalStatus:
        if (!this.#phy.link) return 0;
        return (
          STATUS_LINK | (this.#phy.is100 ? STATUS_100 : 0) | (this.#phy.isFullDuplex ? STATUS_DUPLEX : 0)
        );
      default:
        return this.#csr[offset] ?? 0;
    }
  }

  /** Registers of several bytes act when the last one is written. */
  #write(offset: number, size: AccessSize, value: number): void {
    if (offset + size > CSR_BYTES) return;
    const has = (register: number) => offset <= register && register < offset + size;
    const byteOf = (register: number) => (value >>> (8 * (register - offset))) & 0xff;
    for (let i = 0; i < size; i++) this.#csr[offset + i] = (value >>> (8 * i)) & 0xff;
    if (has(CSR.statAck)) this.#acknowledge(byteOf(CSR.statAck));
    if (has(CSR.interruptMask)) this.#setMask(byteOf(CSR.interruptMask));
    if (has(CSR.scbCommand)) this.#command(byteOf(CSR.scbCommand));
    if (has(CSR.port + 3)) this.#selectPort(this.#view.getUint32(CSR.port, true));
    if (has(CSR.eepromControl)) this.#setEepromPins(byteOf(CSR.eepromControl));
    if (has(CSR.pmdr)) this.#wakeUp?.clear(byteOf(CSR.pmdr));
    if (has(CSR.mdiControl + 3)) this.#accessPhy(this.#view.getUint32(CSR.mdiControl, true));
  }

  #acknowledge(causes: number): void {
    this.#causes &= ~causes;
    this.#updateInterrupt();
  }

  #setMask(mask: number): void {
    this.#csr[CSR.interruptMask] = mask & ~MASK.softwareInterrupt;
    if ((mask & MASK.softwareInterrupt) !== 0) this.#raise(STAT.swi);
    else this.#updateInterrupt();
  }

  #command(command: number): void {
    const pointer = this.#view.getUint32(CSR.scbPointer, true);
    this.#receive.command(command & 0x7, pointer);
    this.#commands.command(command >> 4, pointer);
  }

  #selectPort(value: number): void {
    const address = value - (value & 0xf);
    switch (value & 0xf) {
      case PORT.reset:
        this.#resetController();
        return;
      case PORT.selfTest:
        this.#memory.writeU32(address, SELF_TEST_SIGNATURE);
        this.#memory.writeU32(address + 4, 0);
        this.#resetController();
        return;
      case PORT.selectiveReset:
        this.#commands.stop();
        this.#receive.stop();
        this.#port.roomAgain();
        return;
      case PORT.dump:
        this.#commands.dump(address);
        return;
    }
  }

  #setEepromPins(pins: number): void {
    const has = (pin: number) => (pins & pin) !== 0;
    this.#eeprom.setPins(has(EEPROM_PIN.cs), has(EEPROM_PIN.sk), has(EEPROM_PIN.di));
  }

  #accessPhy(value: number): void {
    const register = (value >>> MDI.registerShift) & 31;
    const operation = (value >>> MDI.operationShift) & 3;
    const isOwn = ((value >>> MDI.phyShift) & 31) === PHY_ADDRESS;
    let result = (value | MDI.ready) >>> 0;
    if (operation === MDI.read)
      result = ((result & ~0xffff) | (isOwn ? this.#phy.read(register) : NO_PHY)) >>> 0;
    else if (operation === MDI.write && isOwn) this.#phy.write(register, value & 0xffff);
    this.#view.setUint32(CSR.mdiControl, result, true);
    if ((value & MDI.interrupt) !== 0) this.#raise(STAT.mdi);
  }

  #raise(causes: number): void {
    this.#causes |= causes;
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    const mask = this.#csr[CSR.interruptMask]!;
    const open = this.#causes & ~(mask & MASK.single);
    const level = open !== 0 && (mask & MASK.all) === 0;
    if (level && !this.#level) this.#port.interrupted('receive');
    this.#level = level;
    this.function.setInterrupt(level);
  }
}
