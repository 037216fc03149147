import type { ConfigurableType } from '../device-type.ts';
import { vfioOptions } from './options.ts';
import { PassedDevice } from './passed-device.ts';
import { vgaRanges } from './vga-ranges.ts';

/** QEMU's properties with the same names as the options. */
const PROPERTIES = [
  ...['host', 'sysfsdev', 'iommufd', 'vf-token', 'multifunction', 'rombar', 'romfile', 'bootindex', 'x-vga'],
  ...['x-pci-vendor-id', 'x-pci-device-id', 'x-pci-sub-vendor-id', 'x-pci-sub-device-id'],
  ...['x-no-mmap', 'x-no-kvm-intx', 'x-no-kvm-msi', 'x-no-kvm-msix', 'x-intx-mmap-timeout-ms', 'x-req'],
] as const;

export const vfioPci: ConfigurableType<ReturnType<typeof vfioOptions>> = {
  type: 'vfio-pci',
  title: 'PCI passthrough',
  description: 'a PCI function of the host, which the guest drives itself',
  bus: 'pci',
  definition: { key: 'passthrough' },
  libvirt: { element: 'hostdev', models: ['pci'] },
  prefix: 'hostdev',
  qemu: {
    devices: ['vfio-pci', 'vfio-pci-nohotplug'],
    properties: Object.fromEntries(PROPERTIES.map(name => [name, name])),
  },
  config: vfioOptions,
  create(services, options, name) {
    const device = new PassedDevice(name, options, services);
    const { function: pci, host } = device;
    try {
      const { vgaPorts } = device;
      const vga =
        vgaPorts === null ? {} : vgaRanges(pci, host, vgaPorts, error => services.warn(error.message));
      const { bootindex } = options;
      return {
        device,
        pci,
        ...vga,
        boot: { kind: null, index: bootindex, node: 'pci', below: '' },
        capabilities: { hostDevice: device },
        facts: [
          { label: 'host device', value: host.address },
          ...(bootindex === undefined ? [] : [{ label: 'boot index', value: bootindex }]),
        ],
      };
    } catch (error) {
      device.close();
      throw error;
    }
  },
};
