import { constants } from 'node:os';
import { tryVfioIoctl, withNumbers } from './call.ts';
import { VFIO_PCI_HOT_RESET_FLAG_DEV_ID, VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED } from './constants.ts';
import { vfioPciDependentDevice, vfioPciHotReset, vfioPciHotResetInfo } from './structs.ts';

/** A function that a bus reset affects. */
export type Dependent = { readonly address: string; readonly group: number };

/** The scope of a reset of a device's bus. */
export type BusReset = {
  readonly devices: readonly Dependent[];
  /** For a device bound to an iommufd: whether each belongs to that iommufd, or to none. Null: their groups decide. */
  readonly owned: boolean | null;
};

/** VFIO_DEVICE_GET_PCI_HOT_RESET_INFO. @returns null if its bus cannot be reset */
export function busResetOf(device: number): BusReset | null {
  let size = vfioPciHotResetInfo.size;
  for (;;) {
    const bytes = new Uint8Array(size);
    vfioPciHotResetInfo.write(bytes, { argsz: size, flags: 0, count: 0 });
    const result = tryVfioIoctl(device, 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', bytes);
    const { count, flags } = vfioPciHotResetInfo.read(bytes);
    const needed = vfioPciHotResetInfo.size + count * vfioPciDependentDevice.size;
    if (result === -constants.errno.ENOSPC && needed > size) {
      size = needed;
      continue;
    }
    if (result < 0 || needed > size) return null;
    const devices = Array.from({ length: count }, (_, index) =>
      dependent(bytes, vfioPciHotResetInfo.size + index * vfioPciDependentDevice.size),
    );
    const hasIds = (flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID) !== 0;
    return { devices, owned: hasIds ? (flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED) !== 0 : null };
  }
}

/**
 * VFIO_DEVICE_PCI_HOT_RESET.
 * @param groups fds of all affected groups; none with an iommufd. @returns whether that succeeded
 */
export function resetBus(device: number, groups: readonly number[]): boolean {
  const argument = withNumbers(vfioPciHotReset, { flags: 0, count: groups.length }, groups);
  return tryVfioIoctl(device, 'VFIO_DEVICE_PCI_HOT_RESET', argument) >= 0;
}

function dependent(bytes: Uint8Array, at: number): Dependent {
  const { group_id, segment, bus, devfn } = vfioPciDependentDevice.read(bytes, at);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  const address = `${hex(segment, 4)}:${hex(bus, 2)}:${hex(devfn >> 3, 2)}.${devfn & 7}`;
  return { address, group: group_id };
}
