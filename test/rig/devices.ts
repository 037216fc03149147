import { join } from 'node:path';

/** Optional PCI devices of the emulated host, besides its disk and control ports. */
export const PCI_DEVICES = [
  'iommu',
  'igb',
  'nvme',
  'e1000e',
  'e1000e-pair',
  'pci-bridge',
  'virtio-net',
] as const;
export type PciDevice = (typeof PCI_DEVICES)[number];

type DeviceParts = {
  /** QEMU arguments; `slot` is its PCI slot on bus 0; network cards share one Ethernet. */
  readonly args: (slot: string, directory: string) => string[];
  readonly modules: readonly string[];
  /** Sparse files in the machine's folder, in bytes. */
  readonly files?: Readonly<Record<string, number>>;
};

const MiB = 2 ** 20;

const parts: Readonly<Record<Exclude<PciDevice, 'iommu'>, DeviceParts>> = {
  /** A network card with SR-IOV, 7 VFs. */
  igb: {
    args: slot => [...rootPort('rp-igb', slot), ...nic('igb', 'igb0', 'bus=rp-igb,mac=52:54:00:aa:00:01')],
    modules: ['igb'],
  },
  /** An NVMe controller with SR-IOV, 4 VFs, and two namespaces, one of which is attached to it. */
  nvme: {
    args: (slot, directory) => [
      ...rootPort('rp-nvme', slot),
      ...['-device', 'nvme-subsys,id=subsystem0,nqn=subsystem0'],
      '-device',
      'nvme,id=nvme0,bus=rp-nvme,serial=NV0,subsys=subsystem0,sriov_max_vfs=4,sriov_vq_flexible=8,' +
        'sriov_vi_flexible=4,max_ioqpairs=12,msix_qsize=13',
      ...namespace(directory, 1, 'shared=on'),
      ...namespace(directory, 2, 'shared=on,detached=on'),
    ],
    modules: ['nvme'],
    files: { 'nvme-namespace1.img': 128 * MiB, 'nvme-namespace2.img': 16 * MiB },
  },
  /** An ordinary PCI Express network card, alone in its IOMMU group. */
  e1000e: {
    args: slot => [...rootPort('rp-e1000e', slot), ...nic('e1000e', 'e1000e0', 'bus=rp-e1000e')],
    modules: ['e1000e'],
  },
  /** Two functions of one device without ACS: one IOMMU group of two. */
  'e1000e-pair': {
    args: slot => [
      ...rootPort('rp-pair', slot),
      ...nic('e1000e', 'pair0', 'bus=rp-pair,addr=00.0,multifunction=on'),
      ...nic('e1000e', 'pair1', 'bus=rp-pair,addr=00.1'),
    ],
    modules: ['e1000e'],
  },
  /** A bridge to conventional PCI with two network cards behind it: one IOMMU group of three. */
  'pci-bridge': {
    args: slot => [
      ...rootPort('rp-bridge', slot),
      ...['-device', 'pcie-pci-bridge,id=bridge0,bus=rp-bridge'],
      ...nic('e1000', 'e1000-0', 'bus=bridge0,addr=01.0'),
      ...nic('rtl8139', 'rtl8139-0', 'bus=bridge0,addr=02.0'),
    ],
    modules: ['e1000', '8139cp'],
  },
  'virtio-net': {
    args: slot =>
      nic('virtio-net-pci', 'virtio-net0', `bus=pcie.0,addr=${slot},disable-legacy=on,iommu_platform=on`),
    modules: ['virtio_net'],
  },
};

/** QEMU's arguments for these devices, with files in `directory`; the selection does not affect order and slots. */
export function deviceArgs(devices: readonly PciDevice[], directory: string): string[] {
  // The IOMMU must come before the devices behind it.
  const args = devices.includes('iommu') ? ['-device', 'intel-iommu,intremap=on,caching-mode=on'] : [];
  for (const [index, name] of PCI_DEVICES.entries()) {
    if (name === 'iommu' || !devices.includes(name)) continue;
    args.push(...parts[name].args((0x10 + index).toString(16), directory));
  }
  return args;
}

export function deviceModules(devices: readonly PciDevice[]): string[] {
  return [...new Set(devices.flatMap(name => (name === 'iommu' ? [] : parts[name].modules)))];
}

/** Backing files of the devices: names in the machine's folder, and sizes in bytes. */
export function deviceFiles(devices: readonly PciDevice[]): [name: string, bytes: number][] {
  return devices.flatMap(name => (name === 'iommu' ? [] : Object.entries(parts[name].files ?? {})));
}

function rootPort(id: string, slot: string): string[] {
  return ['-device', `pcie-root-port,id=${id},chassis=${Number.parseInt(slot, 16)},bus=pcie.0,addr=${slot}`];
}

function nic(model: string, id: string, options: string): string[] {
  return [
    '-netdev',
    `hubport,id=net-${id},hubid=0`,
    '-device',
    `${model},id=${id},netdev=net-${id},${options}`,
  ];
}

function namespace(directory: string, number: number, options: string): string[] {
  const file = join(directory, `nvme-namespace${number}.img`);
  return [
    ...['-drive', `file=${file},if=none,id=nvme-drive${number},format=raw`],
    ...['-device', `nvme-ns,drive=nvme-drive${number},bus=nvme0,nsid=${number},${options}`],
  ];
}
