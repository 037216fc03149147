import type { HostRoot } from '../root.ts';
import { readModule } from '../vfio/modules.ts';
import { type Finding, info, ok } from './finding.ts';
import { isYes } from './processor.ts';

export function vfioFindings(root: HostRoot): Finding[] {
  return [vfioModule(root), noIommuMode(root), ...mappingLimit(root)];
}

function vfioModule(root: HostRoot): Finding {
  const id = 'vfio.driver';
  const why = 'it passes PCI devices through to guests';
  const { state } = readModule(root, 'vfio_pci');
  switch (state) {
    case 'loaded':
    case 'built-in':
      return ok(id, 'vfio', `vfio-pci is ${state}`, why);
    case 'available':
      return info(id, 'vfio', 'vfio-pci is not loaded; vring vfio bind loads it', why);
    default:
      return {
        id,
        area: 'vfio',
        state: 'fail',
        title: 'this kernel has no vfio-pci',
        why,
        repair: ["install the kernel's full module package, or boot a kernel with CONFIG_VFIO_PCI"],
      };
  }
}

function noIommuMode(root: HostRoot): Finding {
  const id = 'vfio.noiommu';
  const why = 'a guest with a device could read and write all host memory';
  const value = readModule(root, 'vfio').parameters.enable_unsafe_noiommu_mode ?? 'N';
  if (!isYes(value)) return ok(id, 'vfio', 'no-IOMMU mode is off', why);
  return {
    id,
    area: 'vfio',
    state: 'warn',
    title: 'no-IOMMU mode is on',
    why,
    repair: ['echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode'],
  };
}

function mappingLimit(root: HostRoot): Finding[] {
  const limit = readModule(root, 'vfio_iommu_type1').parameters.dma_entry_limit;
  if (limit === undefined) return [];
  const why = 'each region of guest memory uses one; ballooning and memory hotplug use many';
  return [info('vfio.mappings', 'vfio', `${limit} DMA mappings for each guest (dma_entry_limit)`, why)];
}
