import { createHash } from 'node:crypto';

/** QEMU's prefix, which DHCP servers and people know as a virtual machine's. */
const PREFIX = '52:54:00';

/** The address of a card that was given none: always the same for a VM's name and the card's place. */
export function macAddress(vm: string, index: number): string {
  const hash = createHash('sha256').update(`${vm}/${index}`).digest();
  return [PREFIX, ...[...hash.subarray(0, 3)].map(byte => byte.toString(16).padStart(2, '0'))].join(':');
}
