import { createHash } from 'node:crypto';

/** QEMU's prefix, by which people and DHCP servers recognize virtual machines. */
const PREFIX = '52:54:00';

/** The address of a card without one: always the same for the same VM name and card index. */
export function macAddress(vm: string, index: number): string {
  const hash = createHash('sha256').update(`${vm}/${index}`).digest();
  return [PREFIX, ...[...hash.subarray(0, 3)].map(byte => byte.toString(16).padStart(2, '0'))].join(':');
}

/** The first of a VM's addresses, from an index on, that no card has. @param taken in lower case */
export function freeMacAddress(vm: string, index: number, taken: ReadonlySet<string>): string {
  for (let at = index; ; at++) {
    const mac = macAddress(vm, at);
    if (!taken.has(mac)) return mac;
  }
}
