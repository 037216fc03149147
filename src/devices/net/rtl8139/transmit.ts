import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';
import { ADDRESS_BYTES, MAX_FRAME, VLAN_BYTES, VLAN_TYPE } from '../ethernet.ts';
import {
  divideTcp,
  findIp,
  type IpPacket,
  PROTOCOL,
  setHeaderChecksum,
  setTransportChecksum,
} from '../ip-offload.ts';
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
import { CPLUS_BANK, ISR, LOOPBACK, REG, TCR, TPPOLL, TSD, TSD_COUNT } from './registers.ts';

/** In the first word of a transmit descriptor (data sheet, section 9.1). */
const LARGE_SEND = 0x0800_0000;
const MSS_SHIFT = 16;
const MSS = 0x7ff;
const IP_CHECKSUM = 0x0004_0000;
const UDP_CHECKSUM = 0x0002_0000;
const TCP_CHECKSUM = 0x0001_0000;
const LENGTH = 0xffff;
/** In its status. */
const ERROR_SUMMARY = 0x0080_0000;
/** In the second word: a VLAN tag is inserted, with its bytes in the order of the wire. */
const TAG = 0x0002_0000;

/** The longest frame that the four registers can send (data sheet, section 6.3). */
const MAX_CLASSIC = 1792;
/** An IP packet of 65,535 bytes, and the headers in front of it. */
const MAX_LARGE = 65_535 + 22;
/** Frames that are sent in one batch. */
const BUDGET = 512;
const NOTHING = new Uint8Array();

const NORMAL = 0;
const HIGH = 1;
type Ring = typeof NORMAL | typeof HIGH;

/** The card's transmitting half. */
export class Transmitter {
  readonly #card: Card;
  readonly #loopback: (frame: Uint8Array) => void;
  /** A packet that is collected from several buffers; its segments are built in it and in separate memory. */
  readonly #packet = new Uint8Array(MAX_LARGE + VLAN_BYTES);
  readonly #segment = new Uint8Array(MAX_LARGE);
  /** The next descriptor: of the four registers or the normal priority ring, and of the high priority ring. */
  readonly #next = new Uint8Array(2);
  #sent = 0;

  /** @param loopback receives transmitted frames while the card is in loopback mode */
  constructor(card: Card, loopback: (frame: Uint8Array) => void) {
    this.#card = card;
    this.#loopback = loopback;
  }

  /** Restarts at the first descriptor. */
  restart(): void {
    this.#next.fill(0);
  }

  /** Sends the frames of the four registers (section 6.3), in their order. */
  sendClassic(): void {
    const { registers, port } = this.#card;
    for (let count = 0; count < TSD_COUNT && registers.transmits && port.ready; count++) {
      const index = this.#next[NORMAL]!;
      const at = REG.tsd + 4 * index;
      const status = registers.u32(at);
      if ((status & TSD.own) !== 0) break;
      const length = status & TSD.size;
      const isSent = length <= MAX_CLASSIC && this.#sendFrom(registers.u32(REG.tsad + 4 * index), length);
      registers.setU32(at, (status | TSD.own | (isSent ? TSD.ok : TSD.aborted)) >>> 0);
      this.#next[NORMAL] = (index + 1) % TSD_COUNT;
      this.#done(isSent);
    }
    port.flush();
  }

  /** Sends the frames of the rings, up to the batch limit. @returns whether more is left */
  sendRings(): boolean {
    const { registers } = this.#card;
    const poll = registers.u8(REG.tppoll);
    if ((poll & (TPPOLL.high | TPPOLL.normal)) === 0) return false;
    this.#sent = 0;
    const isMore =
      ((poll & TPPOLL.high) !== 0 && this.#sendRing(HIGH)) ||
      ((poll & TPPOLL.normal) !== 0 && this.#sendRing(NORMAL));
    this.#card.port.flush();
    if (!isMore && this.#card.port.ready) {
      registers.setU8(REG.tppoll, 0);
      if (registers.transmits) this.#card.raise(ISR.transmitUnavailable);
    }
    return isMore;
  }

  save(): DeviceState {
    return { next: this.#next.slice() };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const next = bytesOf(state, 'next');
    if (next.length !== this.#next.length || next.some(index => index >= MAX_DESCRIPTORS))
      throw new DeviceStateError('next', 'numbers of descriptors');
    this.#next.set(next);
  }

  /** @returns whether it stopped at the batch limit */
  #sendRing(ring: Ring): boolean {
    const { registers, port } = this.#card;
    const base = registers.address(CPLUS_BANK + (ring === HIGH ? REG.thpds : REG.tnpds));
    for (let count = 0; count < MAX_DESCRIPTORS; count++) {
      if (!registers.transmits || !port.ready) return false;
      if (this.#sent >= BUDGET) return true;
      if (!this.#sendPacket(ring, base)) return false;
    }
    return true;
  }

  /** Sends the packet whose first descriptor is the next one. @returns false if there is none, or only a part of one */
  #sendPacket(ring: Ring, base: number): boolean {
    const { bus } = this.#card;
    let [index, length, isWhole] = [this.#next[ring]!, 0, true];
    let first = 0;
    let tag: number | null = null;
    for (let count = 0; count < MAX_DESCRIPTORS; count++) {
      const at = base + DESCRIPTOR_BYTES * index;
      const descriptor = bus.readable(at, DESCRIPTOR_BYTES);
      if (descriptor === null) return this.#fail();
      const view = new DataView(descriptor.buffer, descriptor.byteOffset, DESCRIPTOR_BYTES);
      const options = view.getUint32(DESCRIPTOR.options1, true);
      if ((options & OWN) === 0) return false;
      if (count === 0) {
        first = options;
        const options2 = view.getUint32(DESCRIPTOR.options2, true);
        if ((options2 & TAG) !== 0) tag = options2 & 0xffff;
      }
      const address =
        view.getUint32(DESCRIPTOR.address, true) + view.getUint32(DESCRIPTOR.address + 4, true) * 2 ** 32;
      const part = options & LENGTH;
      const bytes = part === 0 ? NOTHING : bus.readable(address, part);
      if (bytes === null) return this.#fail();
      isWhole &&= length + part <= MAX_LARGE;
      if (isWhole) this.#packet.set(bytes, length);
      length += part;
      index = (options & END_OF_RING) !== 0 ? 0 : (index + 1) % MAX_DESCRIPTORS;
      if ((options & LAST) !== 0) {
        // A packet that does not begin with a first part is the rest of another.
        const isSent = isWhole && (first & FIRST) !== 0 && this.#sendWith(first, length, tag);
        return this.#giveBack(ring, base, index, isSent);
      }
    }
    return this.#fail();
  }

  /** Returns the descriptors before `end` to the driver. */
  #giveBack(ring: Ring, base: number, end: number, isSent: boolean): boolean {
    const { bus } = this.#card;
    for (let count = 0; count < MAX_DESCRIPTORS; count++) {
      const index = this.#next[ring]!;
      const at = base + DESCRIPTOR_BYTES * index;
      const options = bus.readU32(at);
      if (options === null) return this.#fail();
      const isEnd = (options & END_OF_RING) !== 0;
      const status = options & ~OWN;
      if (!bus.writeU32(at, (isSent ? status & ~ERROR_SUMMARY : status | ERROR_SUMMARY) >>> 0))
        return this.#fail();
      this.#next[ring] = isEnd ? 0 : (index + 1) % MAX_DESCRIPTORS;
      if (this.#next[ring] === end) break;
    }
    this.#done(isSent);
    return true;
  }

  /** Sends the collected packet with the options of its first descriptor. */
  #sendWith(options: number, length: number, tag: number | null): boolean {
    const end = tag === null ? length : this.#putTag(length, tag);
    const frame = this.#packet.subarray(0, end);
    if ((options & LARGE_SEND) !== 0) {
      return divideTcp(frame, (options >>> MSS_SHIFT) & MSS, this.#segment, each => this.#send(each));
    }
    if ((options & (IP_CHECKSUM | TCP_CHECKSUM | UDP_CHECKSUM)) !== 0) {
      const packet = findIp(frame);
      if (packet !== null) setChecksums(frame, packet, options);
    }
    this.#send(frame);
    return true;
  }

  #putTag(length: number, tag: number): number {
    const at = 2 * ADDRESS_BYTES;
    if (length < at) return length;
    this.#packet.copyWithin(at + VLAN_BYTES, at, length);
    this.#packet.set([VLAN_TYPE >> 8, VLAN_TYPE & 0xff, tag & 0xff, tag >> 8], at);
    return length + VLAN_BYTES;
  }

  #sendFrom(address: number, length: number): boolean {
    const frame = this.#card.bus.readable(address, length);
    if (frame === null) return this.#fail();
    this.#send(frame);
    return true;
  }

  #send(frame: Uint8Array): void {
    this.#sent++;
    const isLoopback = (this.#card.registers.u32(REG.tcr) & TCR.loopback) === LOOPBACK;
    if (!isLoopback) this.#card.port.sendMore(frame);
    else if (frame.length <= MAX_FRAME + VLAN_BYTES) this.#loopback(frame);
  }

  #done(isSent: boolean): void {
    const { tally, port } = this.#card;
    tally.count(isSent ? 'txOk' : 'txError');
    if (!isSent) {
      tally.count('txAborted');
      port.transmitError();
    }
    this.#card.raise(isSent ? ISR.transmitOk : ISR.transmitError);
  }

  #fail(): false {
    this.#card.systemError();
    return false;
  }
}

function setChecksums(frame: Uint8Array, packet: IpPacket, options: number): void {
  if ((options & IP_CHECKSUM) !== 0) setHeaderChecksum(frame, packet);
  const wanted =
    packet.protocol === PROTOCOL.tcp ? TCP_CHECKSUM : packet.protocol === PROTOCOL.udp ? UDP_CHECKSUM : 0;
  if ((options & wanted) !== 0) setTransportChecksum(frame, packet);
}
