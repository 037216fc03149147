import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';

type InGroup = Pick<PciFunction, 'path' | 'iommuGroup'>;

/** Whether VFIO created its group for lack of an IOMMU (no-IOMMU mode), so that nothing isolates it. */
export function isNoIommuGroup(root: HostRoot, fn: InGroup): boolean {
  return fn.iommuGroup !== null && root.attribute(`${fn.path}/iommu_group/name`) === 'vfio-noiommu';
}

/** Whether it can be passed to a VM only in no-IOMMU mode. */
export function needsNoIommu(root: HostRoot, fn: InGroup): boolean {
  return fn.iommuGroup === null || isNoIommuGroup(root, fn);
}
