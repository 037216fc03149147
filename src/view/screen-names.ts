import type { HostList } from '../store/host-slice.ts';

/** The screens that number keys open, in the order of these: the first is 0. */
export const TOP_SCREENS = [
  'overview',
  'vms',
  'pci',
  'iommu',
  'sriov',
  'vfio',
  'doctor',
  'log',
] as const satisfies readonly TopScreen[];
export type TopScreen = 'overview' | 'vms' | HostList | 'log';

export const SCREEN_NAMES: Readonly<Record<TopScreen | 'vm' | 'function', string>> = {
  overview: 'Overview',
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
