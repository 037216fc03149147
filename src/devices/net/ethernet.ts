import { crc32 } from 'node:zlib';

/** Frames are Ethernet II or IEEE 802.3, starting at the destination address, without their check sequence (FCS). */

export const ADDRESS_BYTES = 6;
/** Two addresses and a type. */
export const HEADER_BYTES = 14;
export const FCS_BYTES = 4;
/** The shortest frame on a wire, without its FCS: shorter ones are padded. */
export const MIN_FRAME = 60;
/** The longest without a VLAN tag: a header and 1,500 bytes. */
export const MAX_FRAME = 1514;
/** The type that precedes the ID of a VLAN tag (IEEE 802.1Q). */
export const VLAN_TYPE = 0x8100;
export const VLAN_BYTES = 4;

/** Whether a frame is multicast or broadcast. */
export function isMulticast(frame: Uint8Array): boolean {
  return (frame[0]! & 1) !== 0;
}

export function isBroadcast(frame: Uint8Array): boolean {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (frame[i] !== 0xff) return false;
  return true;
}

/** Whether a frame is for the address at offset `at` of `addresses`. */
export function isFor(frame: Uint8Array, addresses: Uint8Array, at = 0): boolean {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (frame[i] !== addresses[at + i]) return false;
  return true;
}

/** The check sequence of a frame (IEEE 802.3 §3.2.9), as a number whose lowest byte is sent first. */
export function frameCheck(frame: Uint8Array): number {
  return crc32(frame);
}

/** CRC-32 of a frame's destination, with the bits in transmission order, the first one lowest: AMD's hash filters. */
export function addressCrcLsb(frame: Uint8Array): number {
  return ~crc32(frame.subarray(0, ADDRESS_BYTES)) >>> 0;
}

/** The same with the first bit highest: National's, Realtek's and Intel's hash filters. */
export function addressCrcMsb(frame: Uint8Array): number {
  let lsb = addressCrcLsb(frame);
  let msb = 0;
  for (let i = 0; i < 32; i++) {
    msb = (msb << 1) | (lsb & 1);
    lsb >>>= 1;
  }
  return msb >>> 0;
}
