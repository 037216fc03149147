import type { BusMaster } from '../../pci/bus-master.ts';

/** The upper half of the word with a descriptor's state (TMD1, RMD1), which is the same in all software styles. */
export const STATE = {
  own: 0x8000,
  error: 0x4000,
  /** In a transmit descriptor. */
  noCheck: 0x2000,
  lastInterrupt: 0x1000,
  one: 0x0800,
  /** In a receive descriptor. */
  buffer: 0x0400,
  start: 0x0200,
  end: 0x0100,
  /** The kind of the address that a frame is for; 32-bit styles only. */
  physical: 0x0040,
  hashed: 0x0020,
  broadcast: 0x0010,
} as const;

/** The error bits of TMD2 (16 bits: TMD3). */
export const TRANSMIT_ERROR = { underflow: 0x4000, lostCarrier: 0x0800 } as const;

const COUNT = 0x0fff;
const LARGEST = 4096;

/** A descriptor, as the driver wrote it. */
export type Descriptor = {
  readonly at: number;
  /** The guest-physical address and size of its buffer, in bytes. */
  readonly address: number;
  readonly bytes: number;
  readonly state: number;
};

/**
 * The formats of descriptors by software style (BCR20): 0 has 8 bytes and 24-bit addresses, the others have 16 bytes
 * and 32-bit addresses. Style 3 has the words in another order.
 */
export class DescriptorFormat {
  readonly bytes: number;
  readonly #bus: BusMaster;
  readonly #style: number;
  /** The upper 8 bits of style 0's addresses: those of the initialization block. */
  readonly #high: number;

  constructor(bus: BusMaster, style: number, high: number) {
    this.#bus = bus;
    this.#style = style;
    this.#high = high;
    this.bytes = style === 0 ? 8 : 16;
  }

  /** Null if it is not in memory. */
  read(at: number): Descriptor | null {
    const raw = this.#bus.readable(at, this.bytes);
    if (raw === null) return null;
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    if (this.#style === 0) {
      const state = view.getUint16(2, true);
      const address = this.#high + ((state & 0xff) << 16) + view.getUint16(0, true);
      return { at, address, bytes: countOf(view.getUint16(4, true)), state: state & 0xff00 };
    }
    const middle = view.getUint32(4, true);
    const address = view.getUint32(this.#style === 3 ? 8 : 0, true);
    return { at, address, bytes: countOf(middle), state: middle >>> 16 };
  }

  /** Writes back the result. @param details the length of a received frame, or the error of a transmitted one */
  write({ at }: Descriptor, state: number, details: number): boolean {
    const raw = this.#bus.writable(at, this.bytes);
    if (raw === null) return false;
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    if (this.#style === 0) {
      view.setUint16(6, details, true);
      view.setUint8(3, state >> 8);
      return true;
    }
    view.setUint32(this.#style === 3 ? 0 : 8, details >>> 0, true);
    view.setUint16(6, state, true);
    return true;
  }

  /** Whether it reports the kind of address that matched. */
  get reportsAddressMatch(): boolean {
    return this.#style !== 0;
  }

  /** The errors of a transmitted frame: in the upper half in 32-bit styles. */
  errorDetails(bits: number): number {
    return this.#style === 0 ? bits : bits << 16;
  }
}

/** A buffer's size is a negative number of 12 bits, below four ones. */
function countOf(word: number): number {
  return LARGEST - (word & COUNT);
}

/** The same for a ring's length, of 16 bits. */
export function lengthOf(negative: number): number {
  return 0x1_0000 - negative;
}
