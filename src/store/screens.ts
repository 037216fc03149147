/** The lists of the host, in the order of their number keys. */
export const HOST_LISTS = ['pci', 'iommu', 'sriov', 'vfio', 'doctor'] as const;
export type HostList = (typeof HOST_LISTS)[number];

export type Screen =
  | { readonly kind: 'overview' | 'vms' | HostList | 'log' }
  | { readonly kind: 'vm'; readonly id: string }
  /** One PCI function. */
  | { readonly kind: 'function'; readonly address: string };
export type ScreenKind = Screen['kind'];

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
