import { macAddressOf } from '../../devices/backends/mac-address.ts';

/** The default address of a card: always the same for the same VM name and card index. */
export function macAddress(vm: string, index: number): string {
  return macAddressOf(`${vm}/${index}`);
}

/** The first of a VM's addresses, from an index on, that no card uses. @param taken in lower case */
export function freeMacAddress(vm: string, index: number, taken: ReadonlySet<string>): string {
  for (let at = index; ; at++) {
    const mac = macAddress(vm, at);
    if (!taken.has(mac)) return mac;
  }
}
