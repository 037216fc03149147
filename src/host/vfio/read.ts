import type { PciFunction } from '../pci/function.ts';
import type { DeviceNode } from '../recorded-facts.ts';
import type { HostRoot } from '../root.ts';
import { type Holder, holdersOf, uniqueHolders } from '../use/holders.ts';
import type { OpenFiles } from '../use/open-files.ts';
import { type ModuleState, readModule } from './modules.ts';
import { vmsByTaken } from './taken.ts';

export type VfioDevice = {
  readonly address: string;
  /** `vfio-pci`, or a variant driver. */
  readonly driver: string;
  readonly iommuGroup: number | null;
  /** `/dev/vfio/12`, or `/dev/vfio/noiommu-0`; null while it does not exist. */
  readonly groupNode: DeviceNode | null;
  /** `/dev/vfio/devices/vfio0` (Linux 6.6 with VFIO_DEVICE_CDEV). */
  readonly deviceNode: DeviceNode | null;
  /** Processes that have one of them open: VMs. */
  readonly holders: readonly Holder[];
};

export type VfioState = {
  readonly modules: readonly ModuleState[];
  /** `/dev/vfio/vfio`: the container of the group interface. */
  readonly container: DeviceNode | null;
  /** `/dev/iommu`: iommufd. */
  readonly iommufd: DeviceNode | null;
  readonly devices: readonly VfioDevice[];
  /** False if other users' processes could not be examined. */
  readonly holdersComplete: boolean;
};

const moduleNames = ['vfio', 'vfio_pci', 'vfio_pci_core', 'vfio_iommu_type1', 'iommufd', 'pci_stub'] as const;

/** Whether the driver passes devices to user space through VFIO. */
export function isVfioDriver(driver: string | null): boolean {
  return driver !== null && /(^|[-_])vfio[-_]pci$/.test(driver);
}

/** Whether a device with this driver is unused by the host. */
export function isParkingDriver(driver: string | null): boolean {
  return isVfioDriver(driver) || driver === 'pci-stub';
}

/** @param files that processes have open */
export function readVfio(files: OpenFiles, functions: readonly PciFunction[]): VfioState {
  const { root } = files;
  const { byKey, complete } = holdersOf(files, ({ target }) =>
    target.startsWith('/dev/vfio/') ? target : null,
  );
  // Drivers of virtual GPUs offer VFs to VMs on their own.
  const bound = functions.filter(
    fn => isVfioDriver(fn.driver) || (fn.driver !== null && root.exists(`${fn.path}/vfio-dev`)),
  );
  const vms = vmsByTaken(root);
  return {
    modules: moduleNames.map(name => readModule(root, name)),
    container: root.node('/dev/vfio/vfio'),
    iommufd: root.node('/dev/iommu'),
    devices: bound.map(fn => {
      const groupNode = root.node(groupNodePath(root, fn));
      const cdev = root.list(`${fn.path}/vfio-dev`)?.[0];
      const deviceNode = cdev === undefined ? null : root.node(`/dev/vfio/devices/${cdev}`);
      const nodes = [groupNode, deviceNode].filter(node => node !== null);
      return {
        address: fn.address,
        driver: fn.driver!,
        iommuGroup: fn.iommuGroup,
        groupNode,
        deviceNode,
        holders: uniqueHolders(nodes.flatMap(node => byKey.get(node.path) ?? [])).map(holder =>
          withVm(holder, vms.get(fn.address)),
        ),
      };
    }),
    holdersComplete: complete,
  };
}

/** A vring process may run VMs on its threads: the record names the VM that has the device. */
function withVm(holder: Holder, vm: string | undefined): Holder {
  return holder.vm === undefined && vm !== undefined && holder.command.startsWith('vring')
    ? { ...holder, vm }
    : holder;
}

/** In no-IOMMU mode, the group (`name` is vfio-noiommu) and its node are created by vfio. */
function groupNodePath(root: HostRoot, fn: PciFunction): string {
  const noiommu = root.attribute(`${fn.path}/iommu_group/name`) === 'vfio-noiommu';
  return `/dev/vfio/${noiommu ? 'noiommu-' : ''}${fn.iommuGroup ?? 'none'}`;
}
