import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import {
  ADDRESS_BYTES,
  addressCrcMsb,
  FCS_BYTES,
  frameCheck,
  HEADER_BYTES,
  isBroadcast,
  isFor,
  isMulticast,
  MAX_FRAME,
  MIN_FRAME,
  VLAN_BYTES,
} from '../ethernet.ts';
import type { Arrival, NicPort } from '../nic-port.ts';
import { PAGE, type PacketMemory } from './packet-memory.ts';
import {
  CR,
  CR_PORT,
  DCR,
  IMR_BITS,
  ISR,
  PAGE0_READ,
  PAGE0_WRITE,
  PAGE1,
  PAGE2,
  RCR,
  RSR,
  TCR,
  TSR,
} from './registers.ts';

/**
 * The header of each packet in the ring: receive status, the next packet's page, and its length with the check
 * sequence.
 */
const PACKET_HEADER = 4;
const LONGEST = MAX_FRAME + VLAN_BYTES + FCS_BYTES;
const HASH_BYTES = 8;
const FIFO_BYTES = 8;
const COUNTERS = 3;
const MISSED = 2;
/** A counter stops at its maximum; it interrupts when its highest bit is set. */
const COUNTER_MAX = 0xff;
const COUNTER_NOTICE = 0x80;

const BYTE_REGISTERS = [
  'cr',
  'pstart',
  'pstop',
  'bnry',
  'tpsr',
  'isr',
  'rcr',
  'tcr',
  'dcr',
  'imr',
  'curr',
  'tsr',
  'rsr',
] as const;
const WORD_REGISTERS = ['tbcr', 'rsar', 'rbcr'] as const;

type Registers = Record<(typeof BYTE_REGISTERS)[number] | (typeof WORD_REGISTERS)[number], number>;

function powerOn(): Registers {
  return {
    ...{
      cr: CR.stop | CR.remoteAbort,
      pstart: 0,
      pstop: 0,
      bnry: 0,
      tpsr: 0,
      isr: ISR.reset,
      rcr: 0,
      tcr: 0,
    },
    ...{ dcr: DCR.longAddress, imr: 0, curr: 0, tsr: 0, rsr: 0, tbcr: 0, rsar: 0, rbcr: 0 },
  };
}

/**
 * National Semiconductor's DP8390D network interface controller: its three pages of registers, its ring of packets and
 * its remote DMA.
 */
export class Dp8390 {
  readonly memory: PacketMemory;
  readonly #port: NicPort;
  readonly #interrupt: (level: boolean) => void;
  /** The registers, by their data sheet names. */
  readonly #r = powerOn();
  readonly #par = new Uint8Array(ADDRESS_BYTES);
  readonly #mar = new Uint8Array(HASH_BYTES);
  readonly #counters = new Uint8Array(COUNTERS);
  /** The end of a packet in loopback mode (section 12). */
  readonly #fifo = new Uint8Array(FIFO_BYTES);
  /** Whether a frame waits for free pages. */
  #isStalled = false;
  /** A frame as written to memory: header, padded data, check sequence. */
  readonly #packet = new Uint8Array(PACKET_HEADER + LONGEST);

  /** @param interrupt the level of its interrupt pin */
  constructor(memory: PacketMemory, port: NicPort, interrupt: (level: boolean) => void) {
    this.memory = memory;
    this.#port = port;
    this.#interrupt = interrupt;
    port.onFrame = frame => this.#receive(frame);
    port.onReady = () => this.transmit();
  }

  /** The page of registers that the command register selects. */
  get page(): number {
    return this.#r.cr >> 6;
  }

  /** @param register 0 to 15, of page 0 to 2 */
  read(register: number): number {
    if (register === CR_PORT) return this.#r.cr;
    if (this.page === 0) return this.#readPage0(register);
    if (this.page === 1) return this.#readPage1(register);
    return this.page === 2 ? this.#readPage2(register) : 0xff;
  }

  write(register: number, value: number): void {
    if (register === CR_PORT) this.#command(value);
    else if (this.page === 0) this.#writePage0(register, value);
    else if (this.page === 1) this.#writePage1(register, value);
  }

  /** Reads the data port: the next bytes of remote DMA (section 7.3). @param bytes the size of the access */
  readData(bytes: number): number {
    let value = 0;
    for (let at = 0; at < bytes; at++) value |= this.#nextByte() << (8 * at);
    this.#endAccess(bytes);
    return value >>> 0;
  }

  writeData(bytes: number, value: number): void {
    for (let at = 0; at < bytes; at++) {
      if (!this.#moves(CR.remoteWrite)) break;
      this.memory.write(this.#r.rsar, (value >>> (8 * at)) & 0xff);
      this.#advance();
    }
    this.#endAccess(bytes);
  }

  /** The reset pin (section 11). */
  pulseReset(): void {
    this.#r.cr = CR.stop | CR.remoteAbort;
    this.#r.isr = ISR.reset;
    this.#r.imr = 0;
    this.#r.dcr |= DCR.longAddress;
    this.#r.tcr &= ~TCR.loopback;
    this.#r.rbcr = 0;
    this.#isStalled = false;
    this.#updateInterrupt();
    this.#port.reset();
  }

  /** Power-on. */
  reset(): void {
    Object.assign(this.#r, powerOn());
    this.#par.fill(0);
    this.#mar.fill(0);
    this.#counters.fill(0);
    this.#fifo.fill(0);
    this.memory.ram.fill(0);
    this.pulseReset();
  }

  /** Sends the pending packet, if there is one and the wire takes it. */
  transmit(): void {
    const isOn = (this.#r.cr & CR.stop) === 0 && (this.#r.cr & CR.transmit) !== 0;
    if (!isOn || !this.#port.ready) return;
    this.#r.cr &= ~CR.transmit;
    const isSent = this.#r.tbcr <= LONGEST - FCS_BYTES;
    if (isSent) this.#send(this.memory.bytes(PAGE * this.#r.tpsr, this.#r.tbcr));
    else this.#port.transmitError();
    this.#r.tsr = isSent ? TSR.transmitted : TSR.aborted;
    this.#raise(isSent ? ISR.transmitted : ISR.transmitError);
  }

  save(): DeviceState {
    return {
      ...this.#r,
      par: this.#par.slice(),
      mar: this.#mar.slice(),
      counters: this.#counters.slice(),
      fifo: this.#fifo.slice(),
      memory: this.memory.ram.slice(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const values = [
      ...BYTE_REGISTERS.map(name => [name, numberOf(state, name, 0xff)] as const),
      ...WORD_REGISTERS.map(name => [name, numberOf(state, name, 0xffff)] as const),
    ];
    const arrays = [
      ['par', this.#par],
      ['mar', this.#mar],
      ['counters', this.#counters],
      ['fifo', this.#fifo],
      ['memory', this.memory.ram],
    ] as const;
    const loaded = arrays.map(([key, target]) => {
      const bytes = bytesOf(state, key);
      if (bytes.length !== target.length) throw new DeviceStateError(key, `${target.length} bytes`);
      return [target, bytes] as const;
    });
    for (const [name, value] of values) this.#r[name] = value;
    for (const [target, bytes] of loaded) target.set(bytes);
    this.#r.imr &= IMR_BITS;
    this.#r.rcr &= RCR.bits;
    this.#r.tcr &= TCR.bits;
    this.#isStalled = false;
    this.#updateInterrupt();
  }

  #readPage0(register: number): number {
    switch (register) {
      case PAGE0_READ.clda1:
        return this.#r.curr;
      case PAGE0_READ.bnry:
        return this.#r.bnry;
      case PAGE0_READ.tsr:
        return this.#r.tsr;
      case PAGE0_READ.fifo:
        return this.#readFifo();
      case PAGE0_READ.isr:
        return this.#r.isr;
      case PAGE0_READ.crda0:
        return this.#r.rsar & 0xff;
      case PAGE0_READ.crda1:
        return this.#r.rsar >> 8;
      case PAGE0_READ.rsr:
        return this.#r.rsr;
      case PAGE0_READ.cntr0:
      case PAGE0_READ.cntr1:
      case PAGE0_READ.cntr2:
        return this.#readCounter(register - PAGE0_READ.cntr0);
      default:
        return 0;
    }
  }

  #writePage0(register: number, value: number): void {
    switch (register) {
      case PAGE0_WRITE.pstart:
        this.#r.pstart = value;
        return;
      case PAGE0_WRITE.pstop:
        this.#r.pstop = value;
        return;
      case PAGE0_WRITE.bnry:
        this.#r.bnry = value;
        this.#port.roomAgain();
        return;
      case PAGE0_WRITE.tpsr:
        this.#r.tpsr = value;
        return;
      case PAGE0_WRITE.tbcr0:
        this.#r.tbcr = (this.#r.tbcr & 0xff00) | value;
        return;
      case PAGE0_WRITE.tbcr1:
        this.#r.tbcr = (this.#r.tbcr & 0xff) | (value << 8);
        return;
      case PAGE0_WRITE.isr:
        // Reset is a state of the controller, and only a start clears it.
        this.#r.isr &= ~value | (this.#r.isr & ISR.reset);
        this.#updateInterrupt();
        // Raised again if the driver left packets in the ring, and a frame still waits.
        if ((value & ISR.received) !== 0 && this.#isStalled) this.#raise(ISR.received);
        return;
      case PAGE0_WRITE.rsar0:
        this.#r.rsar = (this.#r.rsar & 0xff00) | value;
        return;
      case PAGE0_WRITE.rsar1:
        this.#r.rsar = (this.#r.rsar & 0xff) | (value << 8);
        return;
      case PAGE0_WRITE.rbcr0:
        this.#r.rbcr = (this.#r.rbcr & 0xff00) | value;
        return;
      case PAGE0_WRITE.rbcr1:
        this.#r.rbcr = (this.#r.rbcr & 0xff) | (value << 8);
        return;
      case PAGE0_WRITE.rcr:
        this.#r.rcr = value & RCR.bits;
        this.#port.roomAgain();
        return;
      case PAGE0_WRITE.tcr:
        this.#r.tcr = value & TCR.bits;
        return;
      case PAGE0_WRITE.dcr:
        this.#r.dcr = value;
        return;
      case PAGE0_WRITE.imr:
        this.#r.imr = value & IMR_BITS;
        this.#updateInterrupt();
    }
  }

  #readPage1(register: number): number {
    if (register === PAGE1.curr) return this.#r.curr;
    return register < PAGE1.curr ? this.#par[register - PAGE1.par0]! : this.#mar[register - PAGE1.mar0]!;
  }

  #writePage1(register: number, value: number): void {
    if (register < PAGE1.curr) this.#par[register - PAGE1.par0] = value;
    else if (register >= PAGE1.mar0) this.#mar[register - PAGE1.mar0] = value;
    else {
      this.#r.curr = value;
      this.#port.roomAgain();
    }
  }

  #readPage2(register: number): number {
    switch (register) {
      case PAGE2.pstart:
        return this.#r.pstart;
      case PAGE2.pstop:
        return this.#r.pstop;
      case PAGE2.tpsr:
        return this.#r.tpsr;
      case PAGE2.rcr:
        return this.#r.rcr | 0xc0;
      case PAGE2.tcr:
        return this.#r.tcr | 0xe0;
      case PAGE2.dcr:
        return this.#r.dcr | 0x80;
      case PAGE2.imr:
        return this.#r.imr | 0x80;
      default:
        return 0xff;
    }
  }

  /** Stop and start together change nothing. */
  #command(value: number): void {
    const wasStopped = (this.#r.cr & CR.stop) !== 0;
    const state = (value & (CR.stop | CR.start)) === 0 ? this.#r.cr & (CR.stop | CR.start) : 0;
    this.#r.cr = value | state | (this.#r.cr & CR.transmit);
    const isStopped = (this.#r.cr & CR.stop) !== 0;
    if (isStopped) this.#r.isr |= ISR.reset;
    else if ((this.#r.cr & CR.start) !== 0) this.#r.isr &= ~ISR.reset;
    this.#startRemote();
    this.#updateInterrupt();
    this.transmit();
    if (wasStopped && !isStopped) this.#port.roomAgain();
  }

  /** Remote DMA of no bytes completes immediately: drivers detect their interrupt with it. */
  #startRemote(): void {
    const remote = this.#r.cr & CR.remote;
    if ((remote & CR.remoteAbort) !== 0 || remote === 0) return;
    if (remote === CR.sendPacket) {
      // The packet at the boundary (section 7.3).
      this.#r.rsar = PAGE * this.#r.bnry;
      this.#r.rbcr =
        PACKET_HEADER + (this.memory.read(this.#r.rsar + 2) | (this.memory.read(this.#r.rsar + 3) << 8));
      this.#r.rbcr &= 0xffff;
    }
    if (this.#r.rbcr === 0) this.#r.isr |= ISR.remoteComplete;
  }

  #moves(direction: number): boolean {
    return (this.#r.cr & CR.remote) === direction && this.#r.rbcr > 0;
  }

  #nextByte(): number {
    const isSendPacket = this.#moves(CR.sendPacket);
    if (!isSendPacket && !this.#moves(CR.remoteRead)) return 0xff;
    const byte = this.memory.read(this.#r.rsar);
    this.#advance();
    if (isSendPacket && this.#r.rbcr === 0) {
      this.#r.bnry = this.memory.read(PAGE * this.#r.bnry + 1);
      this.#port.roomAgain();
    }
    return byte;
  }

  #advance(): void {
    this.#r.rsar = (this.#r.rsar + 1) & 0xffff;
    if (this.#r.rsar === PAGE * this.#r.pstop) this.#r.rsar = PAGE * this.#r.pstart;
    this.#r.rbcr--;
    if (this.#r.rbcr === 0) this.#raise(ISR.remoteComplete);
  }

  /** With word transfers, an access of a byte takes a whole word from memory. */
  #endAccess(bytes: number): void {
    const remote = this.#r.cr & CR.remote;
    if (bytes !== 1 || (this.#r.dcr & DCR.wordTransfer) === 0 || !this.#moves(remote)) return;
    if ((remote & CR.remoteAbort) === 0 && remote !== 0) this.#advance();
  }

  #send(frame: Uint8Array): void {
    if ((this.#r.tcr & TCR.loopback) === 0) {
      this.#port.send(frame);
      return;
    }
    // Looped-back data ends in the FIFO, not in memory.
    const check = frameCheck(frame);
    const length = frame.length + FCS_BYTES;
    const end = [check, check >>> 8, check >>> 16, check >>> 24, length, length >> 8, length >> 8];
    this.#fifo.set([frame.at(-1) ?? 0, ...end]);
    this.#r.rsr = this.#accepts(frame) ? RSR.received | (isMulticast(frame) ? RSR.group : 0) : 0;
  }

  #readFifo(): number {
    const byte = this.#fifo[0]!;
    this.#fifo.copyWithin(0, 1);
    this.#fifo[FIFO_BYTES - 1] = byte;
    return byte;
  }

  #receive(frame: Uint8Array): Arrival {
    this.#isStalled = false;
    if ((this.#r.cr & CR.stop) !== 0 || (this.#r.tcr & TCR.loopback) !== 0) return 'dropped';
    if (frame.length < HEADER_BYTES || frame.length + FCS_BYTES > LONGEST || !this.#accepts(frame))
      return 'dropped';
    if ((this.#r.rcr & RCR.monitor) !== 0) {
      this.#count(MISSED);
      return 'dropped';
    }
    const length = Math.max(frame.length, MIN_FRAME) + FCS_BYTES;
    const pages = Math.ceil((PACKET_HEADER + length) / PAGE);
    const ring = this.#r.pstop - this.#r.pstart;
    if (pages >= ring) {
      this.#count(MISSED);
      this.#raise(ISR.overwrite);
      return 'dropped';
    }
    // The page before the boundary stays free: else a full ring would look empty.
    const free = 1 + modulo(this.#r.bnry - this.#r.curr - 1, ring);
    this.#isStalled = pages >= free;
    if (this.#isStalled) {
      // A driver may have left packets in the ring, and wait for this interrupt.
      this.#raise(ISR.received);
      return 'full';
    }
    this.#store(frame, length);
    return 'taken';
  }

  #store(frame: Uint8Array, length: number): void {
    const packet = this.#packet;
    const end = PACKET_HEADER + length - FCS_BYTES;
    packet.fill(0, PACKET_HEADER + frame.length, end);
    packet.set(frame, PACKET_HEADER);
    const check = frameCheck(packet.subarray(PACKET_HEADER, end));
    for (let i = 0; i < FCS_BYTES; i++) packet[end + i] = check >>> (8 * i);
    const first = this.#r.curr;
    this.#r.rsr = RSR.received | (isMulticast(frame) ? RSR.group : 0);
    for (let at = 0; at < PACKET_HEADER + length; at += PAGE) {
      this.memory.putInPage(
        this.#r.curr,
        0,
        packet.subarray(at, Math.min(at + PAGE, PACKET_HEADER + length)),
      );
      this.#r.curr = (this.#r.curr + 1) & 0xff;
      if (this.#r.curr === this.#r.pstop) this.#r.curr = this.#r.pstart;
    }
    packet.set([this.#r.rsr, this.#r.curr, length & 0xff, length >> 8]);
    this.memory.putInPage(first, 0, packet.subarray(0, PACKET_HEADER));
    this.#raise(ISR.received);
  }

  /** Address recognition (section 5). */
  #accepts(frame: Uint8Array): boolean {
    if (isBroadcast(frame)) return (this.#r.rcr & RCR.broadcast) !== 0;
    if (isMulticast(frame)) {
      if ((this.#r.rcr & RCR.multicast) === 0) return false;
      const bit = addressCrcMsb(frame) >>> 26;
      return ((this.#mar[bit >> 3]! >> (bit & 7)) & 1) !== 0;
    }
    return (this.#r.rcr & RCR.promiscuous) !== 0 || isFor(frame, this.#par);
  }

  #readCounter(index: number): number {
    const value = this.#counters[index]!;
    this.#counters[index] = 0;
    return value;
  }

  #count(index: number): void {
    const value = Math.min(this.#counters[index]! + 1, COUNTER_MAX);
    this.#counters[index] = value;
    if (value >= COUNTER_NOTICE) this.#raise(ISR.counter);
  }

  #raise(bits: number): void {
    const had = this.#interrupts;
    this.#r.isr |= bits;
    this.#updateInterrupt();
    if (had || !this.#interrupts) return;
    if ((bits & ISR.received) !== 0) this.#port.interrupted('receive');
    else if ((bits & ISR.transmitted) !== 0) this.#port.interrupted('transmit');
  }

  get #interrupts(): boolean {
    return (this.#r.isr & this.#r.imr) !== 0;
  }

  #updateInterrupt(): void {
    this.#interrupt(this.#interrupts);
  }
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
