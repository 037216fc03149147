import type { HostRoot } from '../root.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { type Finding, info, ok } from './finding.ts';
import { isYes } from './processor.ts';

export function vfioFindings(root: HostRoot): Finding[] {
  return [vfioModule(root), ...vfioNodes(root), noIommuMode(root), ...mappingLimit(root)];
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

/** The device files that VMs open belong to root unless a udev rule sets another owner. */
function vfioNodes(root: HostRoot): Finding[] {
  const nodes = ['/dev/vfio', '/dev/vfio/devices'].flatMap(directory => root.nodes(directory));
  const own = nodes.filter(({ path }) => path !== '/dev/vfio/vfio');
  if (own.length === 0) return [];
  const id = 'vfio.nodes';
  const why = 'a VM opens a passed-through device by its file in /dev/vfio';
  const denied = own.filter(({ usable }) => !usable);
  if (denied.length === 0) return [ok(id, 'vfio', `this user may open ${counted(own.length)}`, why)];
  return [
    {
      id,
      area: 'vfio',
      state: 'warn',
      title: `this user may not open ${sentenceList(denied.map(({ path }) => path))}`,
      why,
      repair: [
        'run vring serve as root; or a udev rule such as SUBSYSTEM=="vfio", OWNER="<user>" in /etc/udev/rules.d/90-vfio.rules, then udevadm trigger -s vfio',
      ],
    },
  ];
}

function counted(files: number): string {
  return files === 1 ? 'the file of a bound device' : `the ${files} files of bound devices`;
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
