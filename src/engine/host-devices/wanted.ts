import type { DeviceConfig, DeviceTable } from '../../devices/device-table.ts';
import { deviceTable } from '../../devices/registry.ts';
import { formatAddress, parseAddress } from '../../host/pci/address.ts';
import type { VfSettings } from '../../host/plan/plan.ts';
import type { VmHostDevice } from '../vm-info.ts';

/** What a VM's definition says of a PCI function of the host beyond what its machine needs to know. */
export type HostDeviceOptions = {
  /** Full. */
  readonly address: string;
  /** It stays bound to its VFIO driver when the VM ends. */
  readonly keep: boolean;
  /** Of a VF: what it is to have while the VM has it. */
  readonly settings: VfSettings;
  /** The guest may reach all of the host's memory, if there is no IOMMU. */
  readonly unsafeNoIommu: boolean;
};

/** A PCI function of the host that a VM is to have. */
export type WantedHostDevice = HostDeviceOptions & {
  /** Its name in the VM. */
  readonly device: string;
  /** The expected `vendor:device`. */
  readonly id?: string;
  /** Whether it is opened through iommufd; absent: as the kernel offers. */
  readonly iommufd?: boolean;
};

/** The functions of the host among a machine's devices. */
export function wantedHostDevices(
  devices: readonly DeviceConfig[],
  options: readonly HostDeviceOptions[] = [],
  table: DeviceTable = deviceTable,
): WantedHostDevice[] {
  if (!devices.some(device => table.hostDevice(device) !== null)) return [];
  const names = table.names(devices);
  return devices.flatMap((device, index) => {
    const found = table.hostDevice(device);
    if (found === null) return [];
    const { name, ...more } = found;
    const address = fullAddress(name);
    const own = options.find(each => each.address === address) ?? { ...NO_OPTIONS, address };
    return [{ ...own, ...more, device: names[index]! }];
  });
}

const NO_OPTIONS = { keep: false, settings: {}, unsafeNoIommu: false } as const;

/** `01:10.0` is in domain 0. What is no address stays as it is: no function has it. */
export function fullAddress(name: string): string {
  const address = parseAddress(/^[0-9a-f]{2}:[0-9a-f]{2}\./i.test(name) ? `0000:${name}` : name);
  return address === null ? name : formatAddress(address);
}

/** The same for a VM that does not have it yet. */
export function notTaken({ address, device, keep }: WantedHostDevice): VmHostDevice {
  return { address, device, api: null, keep, before: null };
}
