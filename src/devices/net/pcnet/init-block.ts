import type { BusMaster } from '../../pci/bus-master.ts';
import { ADDRESS_BYTES } from '../ethernet.ts';

/**
 * The offsets of the fields of the initialization block (data sheet, "Initialization Block"), with 16-bit and 32-bit
 * addresses.
 */
const LAYOUTS = {
  short: { bytes: 24, address: 2, hash: 8, receive: 16, transmit: 20 },
  long: { bytes: 28, address: 4, hash: 12, receive: 20, transmit: 24 },
} as const;
const ADDRESS_WORDS = ADDRESS_BYTES / 2;
const HASH_WORDS = 4;
const SHORT_ADDRESS = 0xff_ffff;

/** A ring as set by a driver: its address, and its length as a power of two. */
type GivenRing = { readonly base: number; readonly bits: number };

/** The settings with which a driver initializes a card. */
export type InitBlock = {
  readonly mode: number;
  /** The card's own address, and the hash filter, in 16-bit words. */
  readonly address: readonly number[];
  readonly hash: readonly number[];
  readonly receive: GivenRing;
  readonly transmit: GivenRing;
};

/**
 * @param isLong it has 32-bit addresses
 * @param high what is added to 24-bit ones
 * @returns null if it cannot be read
 */
export function readInitBlock(
  bus: BusMaster,
  at: number,
  { isLong, high }: { readonly isLong: boolean; readonly high: number },
): InitBlock | null {
  const layout = isLong ? LAYOUTS.long : LAYOUTS.short;
  const block = bus.readable(at, layout.bytes);
  if (block === null) return null;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const words = (at: number, length: number) =>
    Array.from({ length }, (_, index) => view.getUint16(at + 2 * index, true));
  const ring = (at: number, lengthAt: number): GivenRing => {
    const address = view.getUint32(at, true);
    return isLong
      ? { base: address, bits: view.getUint8(lengthAt) >> 4 }
      : { base: high + (address & SHORT_ADDRESS), bits: address >>> 29 };
  };
  return {
    mode: view.getUint16(0, true),
    address: words(layout.address, ADDRESS_WORDS),
    hash: words(layout.hash, HASH_WORDS),
    receive: ring(layout.receive, 2),
    transmit: ring(layout.transmit, 3),
  };
}
