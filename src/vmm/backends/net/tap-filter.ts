import type { ReceiveFilter } from '../../../devices/backends/net.ts';
import { tryIoctl } from '../../native/libc.ts';

/** From linux/if_tun.h. */
const TUNSETTXFILTER = 0x4004_54d1;
const TUN_FLT_ALLMULTI = 0x0001;

/** struct tun_filter: flags and count, then addresses. */
const HEADER_BYTES = 4;
const MAC_BYTES = 6;
/**
 * Number of addresses that the kernel compares; it hashes the others if they are multicast (drivers/net/tun.c,
 * FLT_EXACT_COUNT).
 */
const EXACT = 8;
const BROADCAST = new Uint8Array(MAC_BYTES).fill(0xff);

/**
 * The struct tun_filter that passes the same frames as a filter; without addresses, everything passes. VLANs are left
 * to the guest, as virtio allows (virtio 1.3 §5.1.6.5.3).
 * @returns null if the kernel cannot express it
 */
export function tapFilter(filter: ReceiveFilter): Uint8Array | null {
  const { promiscuous, allMulticast, allUnicast, noMulticast, noUnicast, noBroadcast } = filter;
  if (allUnicast || noMulticast || noUnicast || noBroadcast) return null;
  if (promiscuous) return struct([], false);
  // The first ones are compared, so unicast addresses come first.
  if (filter.unicast.length + 1 > EXACT) return null;
  return struct([...filter.unicast, BROADCAST, ...filter.multicast], allMulticast);
}

/** Sets the filter of a TAP interface. @returns whether the kernel does it: a macvtap interface filters on its own */
export function setTapFilter(fd: number, filter: Uint8Array): boolean {
  return tryIoctl(fd, TUNSETTXFILTER, filter) >= 0;
}

/** Passes everything. */
export const NO_FILTER = struct([], false);

function struct(addresses: readonly Uint8Array[], allMulticast: boolean): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + addresses.length * MAC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, allMulticast ? TUN_FLT_ALLMULTI : 0, true);
  view.setUint16(2, addresses.length, true);
  for (const [index, address] of addresses.entries()) bytes.set(address, HEADER_BYTES + index * MAC_BYTES);
  return bytes;
}
