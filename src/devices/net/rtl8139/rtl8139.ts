import type { AccessSize, Cancel, Clock, Device, DeviceState, IoHandler } from '../../device.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import type { PowerManagement } from '../../pci/power-management.ts';
import { REG as REG_PCI } from '../../pci/registers.ts';
import { stateOf } from '../../state.ts';
import { cardPower } from '../card-power.ts';
import type { Arrival, NicPort } from '../nic-port.ts';
import type { CardParts } from '../nic-rows.ts';
import { SerialEeprom } from '../serial-eeprom.ts';
import { type Action, actionAt } from './actions.ts';
import type { Card } from './card.ts';
import { addressIn, eepromWords } from './eeprom-contents.ts';
import { PhyRegisters } from './phy-registers.ts';
import { Receiver } from './receive.ts';
import { RECEIVE_BITS, RegisterFile } from './register-file.ts';
import {
  CPLUS_BANK,
  CPLUS_BANKED,
  CR,
  CR9346,
  DTCCR,
  ISR,
  MODE,
  MSR,
  REALTEK,
  REG,
  REGISTERS,
  RTL8139,
  TPPOLL,
  TSAD_STATUS,
  TSD,
  TSD_COUNT,
} from './registers.ts';
import { TALLY_BYTES, Tally } from './tally.ts';
import { Timer } from './timer.ts';
import { Transmitter } from './transmit.ts';
import { WakeUp } from './wake-up.ts';

/** The revision by which drivers recognize an RTL8139C+. */
const REVISION = 0x20;

/**
 * The initial delay before the card looks for room again for a waiting frame: drivers do not notify it of new
 * descriptors.
 */
const ROOM_DELAY = 250_000n;
const MAX_ROOM_DELAY = 16_000_000n;

/** Whether an access is to a whole word of the banked registers, whose bytes have one effect together, if any. */
function isBankedWord(offset: number, size: AccessSize): boolean {
  return size === 4 && (offset & 3) === 0 && offset >= CPLUS_BANKED.start && offset < CPLUS_BANKED.end;
}

/**
 * Realtek's RTL8139C+: a Fast Ethernet card with the four transmit registers and the ring buffer of its predecessors,
 * and rings of descriptors with checksum and segmentation offload in C+ mode.
 */
export class Rtl8139 implements Device, IoHandler, Card {
  readonly name: string;
  readonly function: PciFunction;
  readonly registers = new RegisterFile();
  readonly bus: BusMaster;
  readonly port: NicPort;
  readonly tally = new Tally();
  readonly #clock: Clock;
  readonly #eeprom: SerialEeprom;
  /** The power-on contents: the address comes from the machine. */
  readonly #words: Uint16Array;
  readonly #phy = new PhyRegisters();
  readonly #receiver = new Receiver(this);
  readonly #transmitter = new Transmitter(this, frame => this.#receiver.receive(frame));
  readonly #timer: Timer;
  readonly #power: PowerManagement;
  readonly #wakeUp: WakeUp;
  #cancelLater: Cancel | null = null;
  #roomDelay = ROOM_DELAY;
  #isRunning = true;

  constructor({ name, mac, port, services }: CardParts) {
    this.name = name;
    this.port = port;
    this.#clock = services.clock;
    this.#timer = new Timer(services.clock, () => this.raise(ISR.timeout));
    this.#words = eepromWords(mac);
    this.#eeprom = new SerialEeprom(this.#words.slice());
    this.function = new PciFunction(name, {
      ...{ vendor: REALTEK, device: RTL8139, revision: REVISION, classCode: 0x02_0000 },
      ...{ subsystemVendor: REALTEK, subsystem: RTL8139 },
    });
    this.function.addBar(0, { kind: 'io', size: REGISTERS, handler: this });
    this.function.addBar(1, { kind: 'memory32', size: REGISTERS, handler: this });
    this.function.addInterruptPin();
    // Linux accepts only a card on which it can set both.
    this.function.config.define(REG_PCI.cacheLineSize, 1, 0, { writable: 0xff });
    this.function.config.define(REG_PCI.latencyTimer, 1, 0, { writable: 0xff });
    this.#power = cardPower(this.function, port, services, false);
    this.#wakeUp = new WakeUp({
      ...{ registers: this.registers, power: this.#power },
      addressee: frame => this.#receiver.addressee(frame),
    });
    this.function.onBusReset(() => this.#reset());
    this.bus = new BusMaster(this.function, services.memory);
    this.#autoload();
    port.onFrame = frame => this.#receive(frame);
    port.onReady = () => this.#transmit();
    port.onLink = () => this.#linkChanged();
    this.#phy.link = port.up;
  }

  read(offset: number, size: AccessSize): number {
    if (isBankedWord(offset, size)) return this.registers.u32(this.registers.indexOf(offset));
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (isBankedWord(offset, size)) {
      const index = this.registers.indexOf(offset);
      this.registers.writeBankedWord(index, value);
      const action = actionAt[index]!;
      if (action !== null) this.#act(action, value, index);
      return;
    }
    let done: Action | null = null;
    for (let i = 0; i < size; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      const index = this.registers.indexOf(offset + i);
      // Status bits are cleared by ones, and the rest of the status before the command takes effect.
      if (index === REG.isr || index === REG.isr + 1) this.#clearStatus(index, byte);
      else this.#writeByte(index, byte);
    }
    for (let i = 0; i < size; i++) {
      const index = this.registers.indexOf(offset + i);
      const action = actionAt[index]!;
      if (action !== null && action !== done) this.#act(action, value >>> (8 * i), index);
      done = action;
    }
  }

  raise(bits: number): void {
    const { registers } = this;
    const was = registers.interrupts;
    registers.setU16(REG.isr, registers.u16(REG.isr) | bits);
    this.#updateInterrupt();
    if (!was && registers.interrupts)
      this.port.interrupted((bits & RECEIVE_BITS) !== 0 ? 'receive' : 'transmit');
  }

  systemError(): void {
    const { registers } = this;
    registers.setU8(REG.cr, registers.u8(REG.cr) & ~(CR.transmit | CR.receive));
    this.raise(ISR.systemError);
  }

  reset(): void {
    this.function.reset();
    this.#reset();
    this.#power.powerOn();
  }

  resetFromSleep(): void {
    this.function.reset();
    this.#power.wake();
    this.#reset();
  }

  quiesce(done: () => void): void {
    this.#isRunning = false;
    this.port.quiesce();
    this.#cancelTimers();
    done();
  }

  resume(): void {
    this.#isRunning = true;
    this.#scheduleTimer();
    this.port.resume();
    this.#transmit();
    this.#lookForRoom();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      registers: this.registers.save(),
      phy: this.#phy.save(),
      transmitter: this.#transmitter.save(),
      receiver: this.#receiver.save(),
      tally: this.tally.save(),
      ...this.#timer.save(),
      pins: this.#eeprom.save(),
      eeprom: this.#eeprom.saveWords(),
      port: this.port.save(),
    };
  }

  load(state: DeviceState): void {
    this.#cancelTimers();
    this.registers.load(stateOf(state, 'registers'));
    this.#phy.load(stateOf(state, 'phy'));
    this.#transmitter.load(stateOf(state, 'transmitter'));
    this.#receiver.load(stateOf(state, 'receiver'));
    this.tally.load(stateOf(state, 'tally'));
    this.#timer.load(state);
    this.#eeprom.load(stateOf(state, 'pins'));
    this.#eeprom.loadWords(state, 'eeprom');
    this.port.load(stateOf(state, 'port'));
    this.#phy.link = this.port.up;
    this.function.load(stateOf(state, 'function'));
    this.#power.loaded();
    this.#updateInterrupt();
  }

  close(): void {
    this.#cancelTimers();
    this.port.close();
    this.function.close();
  }

  #readByte(offset: number): number {
    const { registers } = this;
    const index = registers.indexOf(offset);
    switch (index) {
      case REG.cr:
        return registers.u8(index) | (this.#receiver.isEmpty ? CR.bufferEmpty : 0);
      case REG.cr9346:
        return registers.u8(index) | (this.#eeprom.output ? CR9346.output : 0);
      case REG.msr:
        return (
          registers.u8(index) | (this.#phy.link ? 0 : MSR.linkFailed) | (this.#phy.is100 ? 0 : MSR.speed10)
        );
      case REG.rerid:
        return REVISION;
      case REG.tsadStatus:
      case REG.tsadStatus + 1:
        return byteOf(this.#transmitStatus, index - REG.tsadStatus);
    }
    if (index >= REG.tctr && index < REG.tctr + 4) return byteOf(this.#timer.count, index - REG.tctr);
    if (this.#phy.has(index)) return this.#phy.readByte(index);
    return registers.u8(index);
  }

  #writeByte(index: number, byte: number): void {
    if (this.#phy.has(index)) {
      this.#phy.writeByte(index, byte);
      return;
    }
    const wasReceiving = this.registers.receives;
    const wasTransmitting = this.registers.transmits;
    this.registers.write(index, byte);
    if (index !== REG.cr) return;
    if (!wasReceiving && this.registers.receives) this.#receiver.restart();
    if (!wasTransmitting && this.registers.transmits) this.#transmitter.restart();
  }

  #clearStatus(index: number, byte: number): void {
    this.registers.setU8(index, this.registers.u8(index) & ~byte);
  }

  /** @param value what is written to its first byte and beyond @param index that byte */
  #act(action: Action, value: number, index: number): void {
    switch (action) {
      case 'transmitStatus':
      case 'poll':
        if (action === 'poll') this.#poll(value);
        this.#transmit();
        return;
      case 'dumpTally':
        if (index === CPLUS_BANK + REG.dtccr && (value & DTCCR.command) !== 0) this.#dumpTally();
        return;
      case 'command':
        if ((value & CR.reset) !== 0) this.#softReset();
        this.#transmit();
        this.#lookForRoom();
        return;
      case 'readPointer':
        this.#lookForRoom();
        return;
      case 'interrupts':
        this.#updateInterrupt();
        this.#lookForRoom();
        return;
      case 'timer':
        this.#timer.restart();
        return;
      case 'timer interval':
        this.#scheduleTimer();
        return;
      case 'missed':
        this.registers.setU32(REG.mpc, 0);
        return;
      case 'eeprom':
        this.#driveEeprom();
        return;
      case 'phyControl':
        this.#phy.commit(REG.bmcr);
        return;
      case 'advertisement':
        this.#phy.commit(REG.anar);
        return;
      case 'transmitRing':
        this.#transmitter.restart();
        return;
      case 'receiveRing':
        this.#receiver.restartRing();
        return;
    }
  }

  #poll(value: number): void {
    const { registers } = this;
    registers.setU8(REG.tppoll, registers.u8(REG.tppoll) | (value & (TPPOLL.high | TPPOLL.normal)));
    if ((value & TPPOLL.software) !== 0) this.raise(ISR.software);
  }

  #transmit(): void {
    if (!this.#isRunning || !this.registers.transmits || !this.bus.allowed) return;
    if (!this.registers.isCplus) this.#transmitter.sendClassic();
    else if (this.#transmitter.sendRings()) this.#later(0n);
  }

  #receive(frame: Uint8Array): Arrival {
    if (!this.#power.isOn) {
      this.#wakeUp.arrived(frame);
      return 'dropped';
    }
    const arrival = this.#receiver.receive(frame);
    if (arrival === 'full') this.#later(this.#roomDelay);
    return arrival;
  }

  /** Asks for a waiting frame again, if there may be room for it. */
  #lookForRoom(): void {
    if (!this.#receiver.isStalled) return;
    if (this.#receiver.hasRoom()) {
      this.#roomDelay = ROOM_DELAY;
      this.port.roomAgain();
    } else if (this.registers.isCplus) {
      this.#later(this.#roomDelay);
    }
  }

  /** Continues with both halves after a while. */
  #later(delay: bigint): void {
    if (this.#cancelLater !== null || !this.#isRunning) return;
    this.#cancelLater = this.#clock.at(this.#clock.now() + delay, () => {
      this.#cancelLater = null;
      if (delay > 0n && delay < MAX_ROOM_DELAY) this.#roomDelay = 2n * delay;
      this.#transmit();
      this.#lookForRoom();
    });
  }

  /** One bit per group for each of the four registers (section 6.20). */
  get #transmitStatus(): number {
    let value = 0;
    for (let index = 0; index < TSD_COUNT; index++) {
      const status = this.registers.u32(REG.tsd + 4 * index);
      if ((status & TSD.own) !== 0) value |= 1 << (TSAD_STATUS.own + index);
      if ((status & TSD.aborted) !== 0) value |= 1 << (TSAD_STATUS.abort + index);
      if ((status & TSD.ok) !== 0) value |= 1 << (TSAD_STATUS.ok + index);
    }
    return value;
  }

  #scheduleTimer(): void {
    if (this.#isRunning) this.#timer.schedule(this.registers.u32(REG.timerInt));
  }

  #dumpTally(): void {
    const { registers, bus } = this;
    const target = bus.writable(registers.address(CPLUS_BANK + REG.dtccr), TALLY_BYTES);
    if (target !== null) this.tally.dump(target);
    else if (bus.allowed) this.systemError();
  }

  #driveEeprom(): void {
    const { registers } = this;
    const pins = registers.u8(REG.cr9346);
    switch (pins & CR9346.mode) {
      case MODE.program:
        this.#eeprom.setPins(
          (pins & CR9346.select) !== 0,
          (pins & CR9346.clock) !== 0,
          (pins & CR9346.input) !== 0,
        );
        return;
      case MODE.autoload:
        this.#autoload();
        registers.setU8(REG.cr9346, pins & ~CR9346.mode);
        return;
      default:
        this.#eeprom.setPins(false, false, false);
    }
  }

  /** Loads the address from the EEPROM. */
  #autoload(): void {
    this.registers.setBytes(REG.idr, addressIn(this.#eeprom.words));
  }

  #linkChanged(): void {
    if (this.#phy.link === this.port.up) return;
    this.#phy.link = this.port.up;
    if (this.#phy.link) this.#wakeUp.linkIsUp();
    if (this.#power.isOn) this.raise(ISR.linkChange);
  }

  #updateInterrupt(): void {
    this.function.setInterrupt(this.registers.interrupts);
  }

  #softReset(): void {
    this.registers.softReset();
    this.#transmitter.restart();
    this.#receiver.restart();
    this.#scheduleTimer();
    this.#updateInterrupt();
    this.port.reset();
  }

  #reset(): void {
    this.#cancelTimers();
    this.registers.reset();
    this.#eeprom.reset();
    this.#eeprom.words.set(this.#words);
    this.#autoload();
    this.#phy.reset();
    this.#transmitter.restart();
    this.#receiver.restart();
    this.tally.reset();
    this.#timer.restart();
    this.#updateInterrupt();
    this.port.reset();
  }

  #cancelTimers(): void {
    this.#timer.cancel();
    this.#cancelLater?.();
    this.#cancelLater = null;
  }
}

function byteOf(value: number, index: number): number {
  return (value >>> (8 * index)) & 0xff;
}
