import type { DeviceConfig, DeviceTable, HostFunction } from '../../devices/device-table.ts';
import { deviceTable } from '../../devices/registry.ts';
import type { VfSettings } from '../../host/plan/plan.ts';
import type { VmHostDevice } from '../vm-info.ts';

/** What a VM's definition says about a host PCI function beyond what its machine needs. */
export type HostDeviceOptions = {
  /** In full, with the domain. */
  readonly address: string;
  /** It stays bound to its VFIO driver when the VM ends. */
  readonly keep: boolean;
  /** Settings of a VF while the VM has it. */
  readonly settings: VfSettings;
  /** Allows the guest to reach all of the host's memory, if there is no IOMMU. */
  readonly unsafeNoIommu: boolean;
};

/** A host PCI function that a VM asks for. */
export type WantedHostDevice = HostDeviceOptions &
  HostFunction & {
    /** Its name in the VM. */
    readonly device: string;
  };

/** The host functions among a machine's devices. */
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
    const { keep, settings, unsafeNoIommu } =
      options.find(({ address }) => address === found.address) ?? NO_OPTIONS;
    return [{ ...found, keep, settings, unsafeNoIommu, device: names[index]! }];
  });
}

const NO_OPTIONS = { keep: false, settings: {}, unsafeNoIommu: false } as const;

/** The same, for a VM that does not have the device yet. */
export function notTaken({ address, device, keep }: WantedHostDevice): VmHostDevice {
  return { address, device, api: null, keep, before: null };
}
