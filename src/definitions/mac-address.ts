import { createHash } from 'node:crypto';

/** QEMU's prefix, by which people and DHCP servers recognize virtual machines. */
const PREFIX = '52:54:00';

/** The address of a card without one: always the same for the same VM name and card index. */
export function macAddress(vm: string, index: number): string {
  const hash = createHash('sha256').update(`${vm}/${index}`).digest();
  return [PREFIX, ...[...hash.subarray(0, 3)].map(byte => byte.toString(16).padStart(2, '0'))].join(':');
}
