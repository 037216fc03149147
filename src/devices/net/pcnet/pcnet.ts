import type { AccessSize, Cancel, Clock, Device, DeviceState, IoHandler } from '../../device.ts';
import { BusMaster } from '../../pci/bus-master.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { ADDRESS_BYTES } from '../ethernet.ts';
import type { Arrival, NicPort } from '../nic-port.ts';
import type { CardParts } from '../nic-rows.ts';
import { BusRegisters } from './bus-registers.ts';
import type { Card } from './card.ts';
import { DescriptorFormat } from './descriptors.ts';
import { readInitBlock } from './init-block.ts';
import { Receiver } from './receive.ts';
import {
  APROM_BYTES,
  CSR,
  CSRS,
  DWIO,
  EXTENDED,
  FEATURES,
  MASKS_WRITABLE,
  MODE,
  PORTS,
  STATUS,
  STATUS_CAUSES,
  STATUS_CLEARABLE,
  STATUS_ERRORS,
  STATUS_SAVED,
  STYLE,
  WIO,
} from './registers.ts';
import { counterOf, loadRing, type Ring, setCounter, setLength, setRing } from './ring.ts';
import { Transmitter } from './transmit.ts';

const AMD = 0x1022;
const PCNET = 0x2000;
const REVISION = 0x40;
/** CSR88 and CSR89 of an Am79C973. */
const CHIP_ID = 0x0262_5003;
const APROM_MARK = 0x57;
const RAP_BITS = 0x7f;

/**
 * Registers that can be changed only while the card is stopped or suspended (data sheet, "Control and Status
 * Registers").
 */
const STOPPED_ONLY: ReadonlySet<number> = new Set([
  ...[1, 2, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25, 30, 31, 47, 49, 58, 72, 74, 76, 78],
]);

/** How often the card polls for descriptors (CSR47): less and less often while it finds none. */
const POLL = 1_966_000n;
const MAX_POLL = 64n * POLL;

/**
 * AMD's PCnet-FAST III (Am79C973), which has the registers of its predecessors, including the Am79C970A: rings of
 * descriptors in four software styles, and registers accessed by words or double words.
 */
export class Pcnet implements Device, IoHandler, Card {
  readonly name: string;
  readonly function: PciFunction;
  readonly csr = new Uint16Array(CSRS);
  readonly bus: BusMaster;
  readonly port: NicPort;
  readonly #clock: Clock;
  readonly #prom: Uint8Array;
  readonly #bcr = new BusRegisters();
  readonly #receiver = new Receiver(this);
  readonly #transmitter = new Transmitter(this, frame => this.#receiver.receive(frame));
  #format: DescriptorFormat;
  #rap = 0;
  #cancelPoll: Cancel | null = null;
  #pollDelay = POLL;
  #isRunning = true;

  constructor({ name, mac, port, services }: CardParts) {
    this.name = name;
    this.port = port;
    this.#clock = services.clock;
    this.#prom = addressProm(mac);
    this.function = new PciFunction(name, {
      ...{ vendor: AMD, device: PCNET, revision: REVISION, classCode: 0x02_0000 },
      ...{ subsystemVendor: AMD, subsystem: PCNET },
    });
    this.function.addBar(0, { kind: 'io', size: PORTS, handler: this });
    this.function.addBar(1, { kind: 'memory32', size: PORTS, handler: this });
    this.function.addInterruptPin();
    this.function.onBusReset(() => this.#hardReset());
    this.bus = new BusMaster(this.function, services.memory);
    this.#format = new DescriptorFormat(this.bus, 0, 0);
    this.#softReset();
    port.onFrame = frame => this.#receive(frame);
    port.onReady = () => this.#run();
    port.onLink = up => {
      this.#bcr.phy.link = up;
    };
    this.#bcr.phy.link = port.up;
  }

  get format(): DescriptorFormat {
    return this.#format;
  }

  read(offset: number, size: AccessSize): number {
    if (offset < APROM_BYTES) return this.#readProm(offset, size);
    const isDword = this.#bcr.isDword;
    if (size !== (isDword ? 4 : 2)) return 0xffff_ffff;
    switch (offset) {
      case WIO.rdp:
        return this.#readCsr(this.#rap);
      case isDword ? DWIO.rap : WIO.rap:
        return this.#rap;
      case isDword ? DWIO.reset : WIO.reset:
        this.#softReset();
        return 0;
      case isDword ? DWIO.bdp : WIO.bdp:
        return this.#bcr.read(this.#rap);
      default:
        return 0xffff_ffff;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    const isDword = this.#bcr.isDword;
    // A 32-bit write to the first register changes how they are accessed.
    if (!isDword && size === 4 && offset === DWIO.rdp) this.#bcr.setDword();
    if (size !== (this.#bcr.isDword ? 4 : 2)) return;
    const word = value & 0xffff;
    switch (offset) {
      case WIO.rdp:
        this.#writeCsr(this.#rap, word);
        return;
      case this.#bcr.isDword ? DWIO.rap : WIO.rap:
        this.#rap = word & RAP_BITS;
        return;
      case this.#bcr.isDword ? DWIO.bdp : WIO.bdp:
        this.#bcr.write(this.#rap, word);
    }
  }

  raise(bits: number): void {
    const had = this.#interrupts;
    this.csr[CSR.status]! |= bits;
    this.#update();
    if (had || !this.#interrupts) return;
    if ((bits & STATUS.received) !== 0) this.port.interrupted('receive');
    else if ((bits & STATUS.transmitted) !== 0) this.port.interrupted('transmit');
  }

  memoryError(): void {
    this.csr[CSR.status]! &= ~(STATUS.transmitting | STATUS.receiving);
    this.raise(STATUS.memoryError);
  }

  reset(): void {
    this.function.reset();
    this.#hardReset();
  }

  quiesce(done: () => void): void {
    this.#isRunning = false;
    this.port.quiesce();
    this.#stopPolling();
    done();
  }

  resume(): void {
    this.#isRunning = true;
    this.port.resume();
    this.#run();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      csr: new Uint8Array(this.csr.slice().buffer),
      bcr: this.#bcr.save(),
      rap: this.#rap,
      receive: { ...this.#receiver.ring },
      transmit: { ...this.#transmitter.ring },
      port: this.port.save(),
    };
  }

  load(state: DeviceState): void {
    const csr = bytesOf(state, 'csr');
    if (csr.length !== this.csr.byteLength) throw new DeviceStateError('csr', `${CSRS} registers`);
    const rap = numberOf(state, 'rap', RAP_BITS);
    const [receive, transmit] = [loadRing(state, 'receive'), loadRing(state, 'transmit')];
    this.#bcr.load(stateOf(state, 'bcr'));
    this.port.load(stateOf(state, 'port'));
    this.function.load(stateOf(state, 'function'));
    this.csr.set(new Uint16Array(csr.slice().buffer));
    this.csr[CSR.status]! &= STATUS_SAVED;
    this.#rap = rap;
    Object.assign(this.#receiver.ring, receive);
    Object.assign(this.#transmitter.ring, transmit);
    this.#receiver.forget();
    this.#stopPolling();
    this.#bcr.phy.link = this.port.up;
    this.#setFormat();
    this.#update();
  }

  close(): void {
    this.#stopPolling();
    this.port.close();
    this.function.close();
  }

  #readProm(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#prom[offset + i] ?? 0xff) << (8 * i);
    return value >>> 0;
  }

  #readCsr(register: number): number {
    const { csr } = this;
    switch (register) {
      case CSR.status: {
        const status = csr[CSR.status]!;
        const error = (status & STATUS_ERRORS) !== 0 ? STATUS.error : 0;
        return status | error | (this.#hasCause ? STATUS.interrupt : 0);
      }
      case CSR.initBlockAlias:
      case CSR.initBlockAlias + 1:
        return csr[register - CSR.initBlockAlias + CSR.initBlock]!;
      case CSR.style:
        return this.#bcr.style;
      case CSR.receiveCounter:
        return counterOf(this.#receiver.ring);
      case CSR.transmitCounter:
        return counterOf(this.#transmitter.ring);
      case CSR.receiveLength:
        return -this.#receiver.ring.length & 0xffff;
      case CSR.transmitLength:
        return -this.#transmitter.ring.length & 0xffff;
      case CSR.chipId:
        return CHIP_ID & 0xffff;
      case CSR.chipId + 1:
        return CHIP_ID >>> 16;
      case CSR.receiveCurrent:
      case CSR.receiveCurrent + 1:
        return halfOf(this.#currentOf(this.#receiver.ring), register - CSR.receiveCurrent);
      case CSR.transmitCurrent:
      case CSR.transmitCurrent + 1:
        return halfOf(this.#currentOf(this.#transmitter.ring), register - CSR.transmitCurrent);
      default:
        return csr[register]!;
    }
  }

  #writeCsr(register: number, value: number): void {
    const { csr } = this;
    if (STOPPED_ONLY.has(register) && !this.#isHalted) return;
    switch (register) {
      case CSR.status:
        this.#writeStatus(value);
        return;
      case CSR.masks:
        csr[register] = value & MASKS_WRITABLE;
        this.#update();
        return;
      case CSR.features:
        this.#writeFeatures(value);
        return;
      case CSR.extended:
        csr[register] = (csr[register]! & EXTENDED.clearable & ~value) | (value & EXTENDED.writable);
        this.#run();
        this.port.roomAgain();
        return;
      case CSR.initBlockAlias:
      case CSR.initBlockAlias + 1:
        csr[register - CSR.initBlockAlias + CSR.initBlock] = value;
        return;
      case CSR.style:
        this.#bcr.setStyle(value);
        return;
      case CSR.receiveBase:
      case CSR.receiveBase + 1:
        csr[register] = value;
        this.#receiver.ring.base = csr[CSR.receiveBase]! + csr[CSR.receiveBase + 1]! * 0x1_0000;
        return;
      case CSR.transmitBase:
      case CSR.transmitBase + 1:
        csr[register] = value;
        this.#transmitter.ring.base = csr[CSR.transmitBase]! + csr[CSR.transmitBase + 1]! * 0x1_0000;
        return;
      case CSR.receiveLength:
        setLength(this.#receiver.ring, value);
        return;
      case CSR.transmitLength:
        setLength(this.#transmitter.ring, value);
        return;
      case CSR.receiveCounter:
        setCounter(this.#receiver.ring, value);
        return;
      case CSR.transmitCounter:
        setCounter(this.#transmitter.ring, value);
        return;
      case CSR.initBlock:
      case CSR.initBlock + 1:
      case CSR.mode:
      case CSR.pollInterval:
      case CSR.fifo:
      case CSR.missed:
        csr[register] = value;
        return;
      default:
        if (register >= CSR.hash && register < CSR.mode) csr[register] = value;
    }
  }

  get #isHalted(): boolean {
    return (this.csr[CSR.status]! & STATUS.stop) !== 0 || (this.csr[CSR.extended]! & EXTENDED.suspend) !== 0;
  }

  /** CSR0: a stop overrides everything else. */
  #writeStatus(value: number): void {
    const { csr } = this;
    csr[CSR.status]! &= ~(value & STATUS_CLEARABLE) & ~STATUS.enable;
    csr[CSR.status]! |= value & STATUS.enable;
    if ((value & STATUS.stop) !== 0) this.#stop();
    else {
      if ((value & STATUS.init) !== 0 && (csr[CSR.status]! & STATUS.init) === 0) this.#initialize();
      if ((value & STATUS.start) !== 0) this.#start();
    }
    this.#update();
    this.#pollDelay = POLL;
    this.#run();
    this.port.roomAgain();
  }

  #stop(): void {
    this.csr[CSR.status] = STATUS.stop;
    this.csr[CSR.features]! &= ~FEATURES.clearable;
    this.csr[CSR.extended]! &= ~(EXTENDED.suspend | EXTENDED.clearable);
    this.#receiver.forget();
    this.#stopPolling();
  }

  #start(): void {
    const { csr } = this;
    const mode = csr[CSR.mode]!;
    this.#setFormat();
    csr[CSR.status]! &= ~(STATUS.stop | STATUS.transmitting | STATUS.receiving);
    csr[CSR.status]! |=
      STATUS.start |
      ((mode & MODE.noTransmit) === 0 ? STATUS.transmitting : 0) |
      ((mode & MODE.noReceive) === 0 ? STATUS.receiving : 0);
  }

  /** Reads the initialization block. */
  #initialize(): void {
    const { csr } = this;
    const isLong = (this.#bcr.style & STYLE.size32) !== 0;
    const block = readInitBlock(this.bus, this.#initBlock, { isLong, high: this.#high });
    csr[CSR.status]! &= ~STATUS.stop;
    if (block === null) {
      this.memoryError();
      return;
    }
    const { mode, address, hash, receive, transmit } = block;
    csr[CSR.mode] = mode;
    csr.set(address, CSR.address);
    csr.set(hash, CSR.hash);
    setRing(this.#receiver.ring, receive.base, receive.bits);
    setRing(this.#transmitter.ring, transmit.base, transmit.bits);
    csr[CSR.ringLengths] = (transmit.bits << 12) | (receive.bits << 8);
    setHalves(csr, CSR.receiveBase, this.#receiver.ring.base);
    setHalves(csr, CSR.transmitBase, this.#transmitter.ring.base);
    this.#setFormat();
    this.raise(STATUS.init | STATUS.initDone);
  }

  get #initBlock(): number {
    return this.csr[CSR.initBlock]! + this.csr[CSR.initBlock + 1]! * 0x1_0000;
  }

  /** The upper byte of 24-bit addresses. */
  get #high(): number {
    return (this.csr[CSR.initBlock + 1]! >> 8) * 0x100_0000;
  }

  #setFormat(): void {
    this.#format = new DescriptorFormat(this.bus, this.#bcr.style & STYLE.style, this.#high);
  }

  #currentOf({ base, index }: Ring): number {
    return (base + index * this.#format.bytes) >>> 0;
  }

  #writeFeatures(value: number): void {
    const { csr } = this;
    const kept = csr[CSR.features]! & FEATURES.clearable & ~value;
    csr[CSR.features] = kept | (value & FEATURES.writable);
    if ((value & FEATURES.userCommand) !== 0) csr[CSR.features]! |= FEATURES.user;
    this.#update();
    this.#run();
  }

  #receive(frame: Uint8Array): Arrival {
    const arrival = this.#receiver.receive(frame);
    if (arrival === 'full') this.#poll();
    return arrival;
  }

  /** Continues with both halves, and polls again after a while. */
  #run(): void {
    const { csr } = this;
    if (!this.#isRunning || !this.bus.allowed) return;
    if ((csr[CSR.status]! & STATUS.start) === 0 || (csr[CSR.extended]! & EXTENDED.suspend) !== 0) return;
    const { count, isMore } = this.#transmitter.run();
    if (count > 0) this.#pollDelay = POLL;
    if (this.#receiver.isStalled && this.#receiver.hasRoom()) {
      this.#pollDelay = POLL;
      this.port.roomAgain();
    }
    this.#poll(isMore);
  }

  #poll(isMore = false): void {
    const polls =
      (this.csr[CSR.status]! & STATUS.transmitting) !== 0 &&
      (this.csr[CSR.features]! & FEATURES.noPolling) === 0;
    if (!isMore && !polls && !this.#receiver.isStalled) return;
    if (!this.#isRunning) return;
    this.#cancelPoll?.();
    const delay = isMore ? 0n : this.#pollDelay;
    this.#cancelPoll = this.#clock.at(this.#clock.now() + delay, () => {
      this.#cancelPoll = null;
      if (delay > 0n && delay < MAX_POLL) this.#pollDelay = 2n * delay;
      this.#run();
    });
  }

  #stopPolling(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    this.#pollDelay = POLL;
  }

  get #hasCause(): boolean {
    const { csr } = this;
    const causes = csr[CSR.status]! & STATUS_CAUSES & ~csr[CSR.masks]!;
    const features = csr[CSR.features]!;
    // The mask of each is the bit below it.
    const more = features & FEATURES.masked & ~(features << 1);
    return causes !== 0 || more !== 0 || (features & FEATURES.user) !== 0;
  }

  get #interrupts(): boolean {
    return (this.csr[CSR.status]! & STATUS.enable) !== 0 && this.#hasCause;
  }

  #update(): void {
    this.function.setInterrupt(this.#interrupts);
  }

  /** A reset by the reset register: the bus configuration stays. */
  #softReset(): void {
    const { csr } = this;
    csr.fill(0);
    csr[CSR.status] = STATUS.stop;
    csr[CSR.features] = FEATURES.powerOn;
    csr[CSR.fifo] = 0x1410;
    for (let i = 0; i < ADDRESS_BYTES / 2; i++)
      csr[CSR.address + i] = this.#prom[2 * i]! | (this.#prom[2 * i + 1]! << 8);
    for (const ring of [this.#receiver.ring, this.#transmitter.ring])
      Object.assign(ring, { base: 0, length: 1, index: 0 });
    this.#receiver.forget();
    this.#stopPolling();
    this.#setFormat();
    this.#update();
    this.port.reset();
  }

  #hardReset(): void {
    this.#rap = 0;
    this.#bcr.reset();
    this.#softReset();
  }
}

/** The address, its signature and its checksum (data sheet, "Address PROM Space"). */
function addressProm(mac: Uint8Array): Uint8Array {
  const prom = new Uint8Array(APROM_BYTES);
  prom.set(mac);
  prom.fill(APROM_MARK, 14);
  const sum = prom.reduce((total, byte) => total + byte, 0);
  prom[12] = sum & 0xff;
  prom[13] = sum >> 8;
  return prom;
}

function setHalves(csr: Uint16Array, register: number, value: number): void {
  csr[register] = value & 0xffff;
  csr[register + 1] = value >>> 16;
}

function halfOf(value: number, half: number): number {
  return half === 0 ? value & 0xffff : value >>> 16;
}
