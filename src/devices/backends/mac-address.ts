import { sha256 } from '../../text/sha256.ts';

/** QEMU's prefix, by which people and DHCP servers recognize virtual machines: unicast, locally administered. */
const PREFIX = [0x52, 0x54, 0x00];

/** An address derived from `text`, always the same for the same text: `52:54:00:ab:cd:ef`. */
export function macAddressOf(text: string): string {
  const hash = sha256(text);
  return [...PREFIX, ...hash.subarray(0, 3)].map(byte => byte.toString(16).padStart(2, '0')).join(':');
}

/** The bytes of such an address. */
export function macBytes(address: string): Uint8Array {
  return Uint8Array.from(address.split(':'), byte => Number.parseInt(byte, 16));
}

export function macText(bytes: Uint8Array): string {
  return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join(':');
}
