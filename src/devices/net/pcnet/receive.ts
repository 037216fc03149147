import {
  ADDRESS_BYTES,
  addressCrcLsb,
  FCS_BYTES,
  frameCheck,
  HEADER_BYTES,
  isBroadcast,
  isMulticast,
  MIN_FRAME,
} from '../ethernet.ts';
import type { Arrival } from '../nic-port.ts';
import type { Card } from './card.ts';
import { STATE } from './descriptors.ts';
import { CSR, EXTENDED, FEATURES, MODE, STATUS } from './registers.ts';
import { advance, descriptorAt, type Ring } from './ring.ts';

/** A 12-bit length, with the check sequence. */
const MAX_MESSAGE = 4095;
const MAX_CHAIN = 64;
/** The data that needs no padding: a smaller length in a frame's type field (IEEE 802.3 §3.2.6) means padding. */
const MIN_DATA = MIN_FRAME - HEADER_BYTES;

/** The card's receiving half. */
export class Receiver {
  readonly ring: Ring = { base: 0, length: 1, index: 0 };
  readonly #card: Card;
  readonly #message = new Uint8Array(MAX_MESSAGE);
  #isStalled = false;

  constructor(card: Card) {
    this.#card = card;
  }

  /** Whether a frame waits for a buffer. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  receive(frame: Uint8Array): Arrival {
    const { csr } = this.#card;
    if ((csr[CSR.status]! & STATUS.receiving) === 0) return 'dropped';
    if ((csr[CSR.extended]! & EXTENDED.suspend) !== 0) return 'full';
    const match = this.#match(frame);
    if (match === null || frame.length < HEADER_BYTES || frame.length + FCS_BYTES > MAX_MESSAGE)
      return 'dropped';
    const arrival = this.#store(this.#collect(frame), match);
    this.#isStalled = arrival === 'full';
    return arrival;
  }

  /** Whether a waiting frame may have a buffer now. */
  hasRoom(): boolean {
    const { format } = this.#card;
    const next = format.read(descriptorAt(this.ring, format.bytes));
    return next === null || (next.state & STATE.own) !== 0;
  }

  forget(): void {
    this.#isStalled = false;
  }

  /** How a frame passes the filters, as styles 2 and 3 report it (RMD1); null if it does not. */
  #match(frame: Uint8Array): number | null {
    const { csr } = this.#card;
    const mode = csr[CSR.mode]!;
    const isPromiscuous = (mode & MODE.promiscuous) !== 0;
    if (isBroadcast(frame)) {
      return (mode & MODE.noBroadcast) === 0 || isPromiscuous ? STATE.broadcast : null;
    }
    if (isMulticast(frame)) {
      const bit = addressCrcLsb(frame) >>> 26;
      const isIn = ((csr[CSR.hash + (bit >> 4)]! >> (bit & 0xf)) & 1) !== 0;
      return isIn ? STATE.hashed : isPromiscuous ? 0 : null;
    }
    if ((mode & MODE.noPhysical) === 0 && this.#isOwn(frame)) return STATE.physical;
    return isPromiscuous ? 0 : null;
  }

  #isOwn(frame: Uint8Array): boolean {
    const { csr } = this.#card;
    for (let at = 0; at < ADDRESS_BYTES; at += 2) {
      if (csr[CSR.address + at / 2] !== (frame[at]! | (frame[at + 1]! << 8))) return false;
    }
    return true;
  }

  /** @returns the length of the frame in `#message` */
  #collect(frame: Uint8Array): number {
    const message = this.#message;
    message.set(frame);
    const type = (frame[12]! << 8) | frame[13]!;
    const strips = (this.#card.csr[CSR.features]! & FEATURES.stripPadding) !== 0;
    if (strips && type < MIN_DATA) return Math.min(frame.length, HEADER_BYTES + type);
    const end = Math.max(frame.length, MIN_FRAME);
    message.fill(0, frame.length, end);
    const check = frameCheck(message.subarray(0, end));
    for (let i = 0; i < FCS_BYTES; i++) message[end + i] = check >>> (8 * i);
    return end + FCS_BYTES;
  }

  #store(length: number, match: number): Arrival {
    const { format, bus } = this.#card;
    const room = this.#roomFor(length);
    if (room !== 'taken') return room;
    for (let at = 0; at < length; ) {
      const descriptor = format.read(descriptorAt(this.ring, format.bytes));
      if (descriptor === null) return this.#fail();
      const part = Math.min(descriptor.bytes, length - at);
      const buffer = bus.writable(descriptor.address, part);
      if (buffer === null) return this.#fail();
      buffer.set(this.#message.subarray(at, at + part));
      const isLast = at + part === length;
      const state =
        (at === 0 ? STATE.start : 0) | (isLast ? STATE.end | (format.reportsAddressMatch ? match : 0) : 0);
      if (!format.write(descriptor, state, isLast ? length : 0)) return this.#fail();
      advance(this.ring);
      at += part;
    }
    this.#card.raise(STATUS.received);
    return 'taken';
  }

  /** Whether the driver's free buffers have room. A frame that exceeds the whole ring is missed. */
  #roomFor(length: number): Arrival {
    const { format } = this.#card;
    const { base, length: descriptors, index } = this.ring;
    let room = 0;
    for (let count = 0; count < Math.min(descriptors, MAX_CHAIN); count++) {
      const at = descriptorAt(
        { base, length: descriptors, index: (index + count) % descriptors },
        format.bytes,
      );
      const descriptor = format.read(at);
      if (descriptor === null) return this.#fail();
      if ((descriptor.state & STATE.own) === 0) return 'full';
      room += descriptor.bytes;
      if (room >= length) return 'taken';
    }
    const { csr } = this.#card;
    csr[CSR.missed]!++;
    if (csr[CSR.missed] === 0) csr[CSR.features]! |= FEATURES.missedOverflow;
    this.#card.raise(STATUS.missed);
    return 'dropped';
  }

  #fail(): Arrival {
    this.#card.memoryError();
    return 'dropped';
  }
}
