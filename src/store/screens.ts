/** The lists of the host, in the order of their number keys. */
export const HOST_LISTS = ['pci', 'iommu', 'sriov', 'vfio', 'doctor'] as const;
export type HostList = (typeof HOST_LISTS)[number];

export type Screen =
  | { readonly kind: 'overview' | 'vms' | HostList | 'log' | 'queues' | 'networks' | 'images' }
  | { readonly kind: 'vm'; readonly id: string }
  /** One PCI function. */
  | { readonly kind: 'function'; readonly address: string };
export type ScreenKind = Screen['kind'];

/** The screens opened by number keys, in their order from 0. */
export const TOP_SCREENS = [
  'overview',
  'vms',
  'pci',
  'iommu',
  'sriov',
  'vfio',
  'doctor',
  'log',
  'queues',
  'networks',
] as const satisfies readonly TopScreen[];
/** Those, and the screens that are only opened by name. */
export type TopScreen = 'overview' | 'vms' | HostList | 'log' | 'queues' | 'networks' | 'images';

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
  queues: 'Queues',
  networks: 'Networks',
  images: 'Images',
  function: 'function',
};

/** For a header without room for all names. */
export const SHORT_SCREEN_NAMES: typeof SCREEN_NAMES = {
  ...SCREEN_NAMES,
  overview: 'All',
  iommu: 'IOM',
  sriov: 'VFs',
  doctor: 'Doc',
  queues: 'Que',
  networks: 'Net',
};

/** The screens that consist of one list, which can be filtered. */
export const LISTS = ['vms', ...HOST_LISTS, 'log', 'queues', 'networks', 'images'] as const;
export type ListName = (typeof LISTS)[number];

/** A row of a list, by its key; by its index once that row is gone. */
export type ListCursor = { readonly key: string; readonly index: number };
