import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import {
  ADDRESS_BYTES,
  addressCrcMsb,
  FCS_BYTES,
  frameCheck,
  HEADER_BYTES,
  isBroadcast,
  isFor,
  isMulticast,
  MIN_FRAME,
  VLAN_BYTES,
  VLAN_TYPE,
} from '../ethernet.ts';
import { findIp, isHeaderRight, isTransportRight, PROTOCOL } from '../ip-offload.ts';
import type { Arrival } from '../nic-port.ts';
import {
  type Card,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  END_OF_RING,
  FIRST,
  LAST,
  MAX_DESCRIPTORS,
  OWN,
} from './card.ts';
import { CPCR, ISR, RCR, REG } from './registers.ts';
import type { TallyName } from './tally.ts';

/** The status that precedes a frame in the ring buffer (data sheet, section 5.1). */
const STATUS = { ok: 0x0001, broadcast: 0x2000, physical: 0x4000, multicast: 0x8000 } as const;
const HEADER = 4;
/** The ring buffer's size by RCR's field, in bytes; the largest size ignores WRAP. */
const LEAST_BUFFER = 8192;
const LARGEST_BUFFER = 65_536;
/**
 * After the buffer was full, frames are delivered again once this fraction of it is free: one by one, each would cost
 * as much as many.
 */
const ROOM_AGAIN = 4;
/** The distance of the driver's read pointer behind what it has read (section 6.5). */
const CAPR_LAG = 16;

/** In the first word of a receive descriptor (section 9.2). */
const SIZE = 0x1fff;
const MULTICAST = 0x0400_0000;
const PHYSICAL = 0x0200_0000;
const BROADCAST = 0x0100_0000;
const PROTOCOL_ID = { tcp: 0x0001_0000, udp: 0x0002_0000, ip: 0x0003_0000 } as const;
const FAILED = { ip: 0x8000, udp: 0x4000, tcp: 0x2000 } as const;
/** In the second word: a tag has been removed. */
const TAG_AVAILABLE = 0x0001_0000;

/** Longer frames are not received: the receive watchdog ends them (section 9.2, RWT). */
const MAX_FRAME = 4096 - FCS_BYTES;

/** The kind of address that a frame is for. */
export type Addressee = 'physical' | 'multicast' | 'broadcast';
const RING_STATUS = {
  physical: STATUS.physical,
  multicast: STATUS.multicast,
  broadcast: STATUS.broadcast,
} as const;
const DESCRIPTOR_STATUS = { physical: PHYSICAL, multicast: MULTICAST, broadcast: BROADCAST } as const;
const TALLIES: Readonly<Record<Addressee, TallyName>> = {
  physical: 'rxPhysical',
  multicast: 'rxMulticast',
  broadcast: 'rxBroadcast',
};

/** The card's receiving half. */
export class Receiver {
  readonly #card: Card;
  /** The frame as written to memory: padded, without its tag, and with its check sequence. */
  readonly #frame = new Uint8Array(MAX_FRAME + FCS_BYTES);
  #next = 0;
  /** The room that a waiting frame needs, once the driver has been notified; 0 if none waits. */
  #wanted = 0;

  constructor(card: Card) {
    this.#card = card;
  }

  /** The driver enables the receiver. */
  restart(): void {
    const { registers } = this.#card;
    this.#next = 0;
    this.#wanted = 0;
    registers.setU16(REG.cbr, 0);
    registers.setU16(REG.capr, -CAPR_LAG & 0xffff);
  }

  /** Restarts at the first descriptor. */
  restartRing(): void {
    this.#next = 0;
  }

  /** Whether the driver has read everything in the ring buffer. */
  get isEmpty(): boolean {
    return this.#unread === 0;
  }

  /** Whether a frame waits for room. */
  get isStalled(): boolean {
    return this.#wanted > 0;
  }

  /** The kind of address that it is for, if the card receives it (section 6.10); null if not. */
  addressee(frame: Uint8Array): Addressee | null {
    const { registers } = this.#card;
    const modes = registers.u8(REG.rcr);
    if (isBroadcast(frame)) return (modes & (RCR.broadcast | RCR.allPhysical)) === 0 ? null : 'broadcast';
    if (isMulticast(frame)) {
      if ((modes & RCR.allPhysical) !== 0) return 'multicast';
      const bit = addressCrcMsb(frame) >>> 26;
      const isIn = ((registers.u8(REG.mar + (bit >> 3)) >> (bit & 7)) & 1) !== 0;
      return (modes & RCR.multicast) !== 0 && isIn ? 'multicast' : null;
    }
    const isOwn = isFor(frame, registers.bytes(REG.idr, ADDRESS_BYTES));
    if (isOwn && (modes & (RCR.physicalMatch | RCR.allPhysical)) !== 0) return 'physical';
    return (modes & RCR.allPhysical) !== 0 ? 'physical' : null;
  }

  receive(frame: Uint8Array): Arrival {
    const { registers, tally } = this.#card;
    if (!registers.receives || frame.length > MAX_FRAME || frame.length < HEADER_BYTES) return 'dropped';
    const kind = this.addressee(frame);
    if (kind === null) return 'dropped';
    if (!this.#card.bus.allowed) return 'dropped';
    const arrival = registers.isCplus ? this.#toDescriptors(frame, kind) : this.#toBuffer(frame, kind);
    if (arrival === 'full') {
      const wasStalled = this.isStalled;
      this.#wanted = bufferBytes(Math.max(frame.length, MIN_FRAME) + FCS_BYTES);
      if (!wasStalled) this.#card.raise(ISR.receiveOverflow);
    } else if (arrival === 'taken') {
      this.#wanted = 0;
      tally.count('rxOk');
      tally.count(TALLIES[kind]);
      this.#card.raise(ISR.receiveOk);
    } else {
      this.#missed();
    }
    return arrival;
  }

  /** Whether a waiting frame may have room now. */
  hasRoom(): boolean {
    const { registers, bus } = this.#card;
    if (!this.isStalled || !registers.receives) return true;
    if (!registers.isCplus) {
      const bytes = this.#bufferBytes;
      const free = bytes - this.#unread;
      return this.#wanted < free && free >= bytes / ROOM_AGAIN;
    }
    const options = bus.readU32(registers.address(REG.rdsar) + DESCRIPTOR_BYTES * this.#next);
    return options === null || (options & OWN) !== 0;
  }

  save(): DeviceState {
    return { next: this.#next, wanted: this.#wanted };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const next = numberOf(state, 'next', MAX_DESCRIPTORS - 1);
    this.#wanted = numberOf(state, 'wanted', bufferBytes(MAX_FRAME + FCS_BYTES));
    this.#next = next;
  }

  get #bufferBytes(): number {
    return LEAST_BUFFER << ((this.#card.registers.u32(REG.rcr) & RCR.length) >> 11);
  }

  get #unread(): number {
    const { registers } = this.#card;
    const bytes = this.#bufferBytes;
    return (registers.u16(REG.cbr) - registers.u16(REG.capr) - CAPR_LAG + 2 * LARGEST_BUFFER) % bytes;
  }

  #missed(): void {
    const { registers, tally } = this.#card;
    tally.count('missed');
    registers.setU32(REG.mpc, (registers.u32(REG.mpc) + 1) & 0x00ff_ffff);
  }

  /** @returns the length of the frame in `#frame`, with the check sequence */
  #collect(frame: Uint8Array, from = 0, at = 0): number {
    const end = Math.max(at + frame.length - from, MIN_FRAME);
    this.#frame.fill(0, at, end);
    this.#frame.set(from === 0 ? frame : frame.subarray(from), at);
    const check = frameCheck(this.#frame.subarray(0, end));
    for (let i = 0; i < FCS_BYTES; i++) this.#frame[end + i] = check >>> (8 * i);
    return end + FCS_BYTES;
  }

  /** The ring buffer of the older chips (section 5.1). */
  #toBuffer(frame: Uint8Array, kind: Addressee): Arrival {
    const { registers } = this.#card;
    const bytes = this.#bufferBytes;
    const length = this.#collect(frame);
    const total = bufferBytes(length);
    // A full buffer would look empty.
    if (total >= bytes) return 'dropped';
    if (total >= bytes - this.#unread) return 'full';
    const at = registers.u16(REG.cbr) % bytes;
    const header = ((length << 16) | STATUS.ok | RING_STATUS[kind]) >>> 0;
    if (!this.#putHeader(at, header) || !this.#put(at + HEADER, length, bytes)) {
      this.#card.systemError();
      return 'dropped';
    }
    registers.setU16(REG.cbr, (at + total) % bytes);
    return 'taken';
  }

  #putHeader(at: number, header: number): boolean {
    const { registers, bus } = this.#card;
    return bus.writeU32(registers.u32(REG.rbstart) + at, header);
  }

  /** Writes the frame to the ring buffer. With WRAP, it continues beyond the end, where the driver has room for it. */
  #put(at: number, length: number, bytes: number): boolean {
    const { registers, bus } = this.#card;
    const base = registers.u32(REG.rbstart);
    const isWrapped = (registers.u8(REG.rcr) & RCR.wrap) === 0 || bytes === LARGEST_BUFFER;
    const from = isWrapped ? at % bytes : at;
    const first = isWrapped ? Math.min(length, bytes - from) : length;
    const start = bus.writable(base + from, first);
    if (start === null) return false;
    start.set(this.#frame.subarray(0, first));
    if (first === length) return true;
    const rest = bus.writable(base, length - first);
    rest?.set(this.#frame.subarray(first, length));
    return rest !== null;
  }

  /** The ring of descriptors of C+ mode (section 9.2). */
  #toDescriptors(frame: Uint8Array, kind: Addressee): Arrival {
    const { registers, bus } = this.#card;
    const base = registers.address(REG.rdsar);
    const untags = (registers.u16(REG.cpcr) & CPCR.vlan) !== 0 && isTagged(frame);
    const tag = untags ? TAG_AVAILABLE | frame[HEADER_BYTES]! | (frame[HEADER_BYTES + 1]! << 8) : 0;
    const length = untags ? this.#collectUntagged(frame) : this.#collect(frame);
    const room = this.#roomFor(base, length);
    if (room !== 'taken') return room;
    const checks = (registers.u16(REG.cpcr) & CPCR.receiveChecksum) === 0 ? 0 : this.#checked(length);
    for (let at = 0; at < length; ) {
      const descriptor = bus.writable(base + DESCRIPTOR_BYTES * this.#next, DESCRIPTOR_BYTES);
      if (descriptor === null) return this.#failed();
      const view = new DataView(descriptor.buffer, descriptor.byteOffset, DESCRIPTOR_BYTES);
      const options = view.getUint32(DESCRIPTOR.options1, true);
      const part = Math.min(options & SIZE, length - at);
      const address =
        view.getUint32(DESCRIPTOR.address, true) + view.getUint32(DESCRIPTOR.address + 4, true) * 2 ** 32;
      const buffer = part === 0 ? null : bus.writable(address, part);
      if (buffer === null) return this.#failed();
      buffer.set(this.#frame.subarray(at, at + part));
      const status =
        (options & END_OF_RING) |
        (at === 0 ? FIRST : 0) |
        (at + part === length ? LAST | DESCRIPTOR_STATUS[kind] | checks | length : at + part);
      view.setUint32(DESCRIPTOR.options2, tag, true);
      view.setUint32(DESCRIPTOR.options1, status >>> 0, true);
      at += part;
      this.#next = (options & END_OF_RING) !== 0 ? 0 : (this.#next + 1) % MAX_DESCRIPTORS;
    }
    return 'taken';
  }

  /** Whether the free descriptors have room for `length` bytes. */
  #roomFor(base: number, length: number): Arrival {
    let [index, room] = [this.#next, 0];
    for (let count = 0; count < MAX_DESCRIPTORS; count++) {
      const options = this.#card.bus.readU32(base + DESCRIPTOR_BYTES * index);
      if (options === null) return this.#failed();
      if ((options & OWN) === 0) return 'full';
      const size = options & SIZE;
      if (size === 0) return this.#failed();
      room += size;
      if (room >= length) return 'taken';
      index = (options & END_OF_RING) !== 0 ? 0 : (index + 1) % MAX_DESCRIPTORS;
      // The whole ring is too small.
      if (index === this.#next) break;
    }
    return 'dropped';
  }

  #collectUntagged(frame: Uint8Array): number {
    const addresses = 2 * ADDRESS_BYTES;
    this.#frame.set(frame.subarray(0, addresses));
    return this.#collect(frame, addresses + VLAN_BYTES, addresses);
  }

  /** The receive status of the packet in the collected frame: its protocol, and whether its checksums are wrong. */
  #checked(length: number): number {
    const frame = this.#frame.subarray(0, length - FCS_BYTES);
    const packet = findIp(frame);
    if (packet === null || packet.version !== 4) return 0;
    const header = isHeaderRight(frame, packet) ? 0 : FAILED.ip;
    if (packet.protocol === PROTOCOL.tcp) {
      return PROTOCOL_ID.tcp | header | (isTransportRight(frame, packet) ? 0 : FAILED.tcp);
    }
    if (packet.protocol === PROTOCOL.udp) {
      return PROTOCOL_ID.udp | header | (isTransportRight(frame, packet) ? 0 : FAILED.udp);
    }
    return PROTOCOL_ID.ip | header;
  }

  #failed(): Arrival {
    this.#card.systemError();
    return 'dropped';
  }
}

/** The room that a frame takes in the ring buffer. @param length with its check sequence */
function bufferBytes(length: number): number {
  return (HEADER + length + 3) & ~3;
}

function isTagged(frame: Uint8Array): boolean {
  const at = 2 * ADDRESS_BYTES;
  return (
    frame.length >= HEADER_BYTES + VLAN_BYTES &&
    frame[at] === VLAN_TYPE >> 8 &&
    frame[at + 1] === (VLAN_TYPE & 0xff)
  );
}
