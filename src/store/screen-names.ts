import type { HostList } from './host-slice.ts';

/** The screens that number keys open, in their order. */
export const TOP_SCREENS = [
  'vms',
  'pci',
  'iommu',
  'sriov',
  'vfio',
  'doctor',
  'log',
] as const satisfies readonly TopScreen[];
export type TopScreen = 'vms' | HostList | 'log';

export const SCREEN_NAMES: Readonly<Record<TopScreen | 'vm' | 'function', string>> = {
  vms: 'VMs',
  vm: 'VM',
  pci: 'PCI',
  iommu: 'IOMMU',
  sriov: 'SR-IOV',
  vfio: 'vfio',
  doctor: 'Doctor',
  log: 'Log',
  function: 'function',
};
