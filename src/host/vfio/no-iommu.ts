import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';

type InGroup = Pick<PciFunction, 'path' | 'iommuGroup'>;

/** Whether its group is one that VFIO has made for lack of an IOMMU (no-IOMMU mode): nothing isolates it. */
export function isNoIommuGroup(root: HostRoot, fn: InGroup): boolean {
  return fn.iommuGroup !== null && root.attribute(`${fn.path}/iommu_group/name`) === 'vfio-noiommu';
}

/** Whether nothing but no-IOMMU mode could pass it to a VM. */
export function needsNoIommu(root: HostRoot, fn: InGroup): boolean {
  return fn.iommuGroup === null || isNoIommuGroup(root, fn);
}
