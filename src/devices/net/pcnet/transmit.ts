import { FCS_BYTES, MAX_FRAME, MIN_FRAME } from '../ethernet.ts';
import type { Card } from './card.ts';
import { type Descriptor, STATE, TRANSMIT_ERROR } from './descriptors.ts';
import { CSR, EXTENDED, FEATURES, MODE, STATUS } from './registers.ts';
import { advance, descriptorAt, type Ring } from './ring.ts';

/** The largest packet that is collected, and the largest number of its buffers. */
const MAX_PACKET = 4096;
const MAX_CHAIN = 64;
/** Packets that are sent in one batch. */
const BUDGET = 256;

/** The card's transmitting half. */
export class Transmitter {
  readonly ring: Ring = { base: 0, length: 1, index: 0 };
  readonly #card: Card;
  readonly #loopback: (frame: Uint8Array) => void;
  readonly #packet = new Uint8Array(MAX_PACKET);
  readonly #chain: Descriptor[] = [];

  /** @param loopback receives transmitted frames while the card is in loopback mode */
  constructor(card: Card, loopback: (frame: Uint8Array) => void) {
    this.#card = card;
    this.#loopback = loopback;
  }

  /** Sends the packets that are ready, up to the batch limit. @returns how many, and whether there may be more */
  run(): { readonly count: number; readonly isMore: boolean } {
    const { csr, port } = this.#card;
    let count = 0;
    while (
      count < BUDGET &&
      (csr[CSR.status]! & STATUS.transmitting) !== 0 &&
      port.ready &&
      this.#sendPacket()
    )
      count++;
    port.flush();
    return { count, isMore: count === BUDGET };
  }

  /** Sends the packet at the card's position, if the driver has provided all of it. */
  #sendPacket(): boolean {
    const { csr, format } = this.#card;
    const chain = this.#chain;
    const { base, length, index } = this.ring;
    chain.length = 0;
    for (let bytes = 0; ; ) {
      const at = descriptorAt({ base, length, index: (index + chain.length) % length }, format.bytes);
      const descriptor = format.read(at);
      if (descriptor === null) return this.#fail();
      if ((descriptor.state & STATE.own) === 0) return false;
      if (chain.length === 0 && (descriptor.state & STATE.start) === 0) return this.#skip(descriptor);
      chain.push(descriptor);
      bytes += descriptor.bytes;
      if (bytes > MAX_PACKET || chain.length > MAX_CHAIN) return this.#abort();
      if ((descriptor.state & STATE.end) !== 0) break;
      if (chain.length === length) return this.#abort();
    }
    const size = this.#collect();
    if (size === null) return this.#fail();
    const isPadded = (csr[CSR.features]! & FEATURES.padTransmit) !== 0 && size < MIN_FRAME;
    if (isPadded) this.#packet.fill(0, size, MIN_FRAME);
    this.#send(this.#packet.subarray(0, isPadded ? MIN_FRAME : size));
    if (!this.#giveBack(0, 0)) return this.#fail();
    const last = chain.at(-1)!;
    if (size > MAX_FRAME + FCS_BYTES) this.#card.raise(STATUS.babble);
    if (this.#reportsSuccess(last)) this.#card.raise(STATUS.transmitted);
    return true;
  }

  #collect(): number | null {
    let size = 0;
    for (const { address, bytes } of this.#chain) {
      const buffer = this.#card.bus.readable(address, bytes);
      if (buffer === null) return null;
      this.#packet.set(buffer, size);
      size += bytes;
    }
    return size;
  }

  #send(frame: Uint8Array): void {
    const { csr, port } = this.#card;
    if ((csr[CSR.mode]! & MODE.loopback) !== 0) this.#loopback(frame);
    else port.sendMore(frame);
  }

  /** Success may interrupt for every packet, for those that the driver has marked, or for none (CSR5). */
  #reportsSuccess({ state }: Descriptor): boolean {
    const extended = this.#card.csr[CSR.extended]!;
    if ((extended & EXTENDED.noTransmitInterrupt) !== 0) return false;
    return (extended & EXTENDED.lastTransmitOnly) === 0 || (state & STATE.lastInterrupt) !== 0;
  }

  #giveBack(error: number, bits: number): boolean {
    const { format } = this.#card;
    const { length } = this.#chain;
    for (let i = 0; i < length; i++) {
      const descriptor = this.#chain[i]!;
      const isLast = i === length - 1;
      const state = (descriptor.state & ~(STATE.own | STATE.error)) | (isLast ? error : 0);
      if (!format.write(descriptor, state, isLast ? format.errorDetails(bits) : 0)) return false;
      advance(this.ring);
    }
    return true;
  }

  /** Skips a descriptor that does not begin a packet. */
  #skip(descriptor: Descriptor): boolean {
    this.#chain.push(descriptor);
    return this.#giveBack(0, 0) || this.#fail();
  }

  /** A packet without an end stops the transmitter: its FIFO would run empty (TMD2, UFLO). */
  #abort(): boolean {
    const { csr, port } = this.#card;
    if (!this.#giveBack(STATE.error, TRANSMIT_ERROR.underflow)) return this.#fail();
    csr[CSR.status]! &= ~STATUS.transmitting;
    port.transmitError();
    this.#card.raise(STATUS.transmitted);
    return false;
  }

  #fail(): false {
    this.#card.memoryError();
    return false;
  }
}
