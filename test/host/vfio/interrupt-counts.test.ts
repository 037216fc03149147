import { expect, test } from 'vitest';
import { postsInterrupts, readInterruptCounts } from '../../../src/host/vfio/interrupt-counts.ts';
import { TreeBuilder } from '../trees/builder.ts';

// As Linux 6.12 prints them, with the types of its interrupt chips.
const INTERRUPTS = `            CPU0       CPU1
   9:          0          7   IO-APIC   9-fasteoi   acpi
  16:        100         20   IO-APIC  16-fasteoi   uhci_hcd:usb1, vfio-intx(0000:04:00.0)
  41:          5          1  IR-PCI-MSIX-0000:01:10.0    0-edge      vfio-msix[0](0000:01:10.0)
  43:        900        100  IR-PCI-MSIX-0000:01:10.0    2-edge      vfio-msix[2](0000:01:10.0)
  42:         30          0  IR-PCI-MSIX-0000:01:10.0    1-edge      vfio-msix[1](0000:01:10.0)
  44:          1          2  IR-PCI-MSIX-0000:01:10.2    0-edge      vfio-msix[0](0000:01:10.2)
  45:          3          4  IR-PCI-MSI-0000:05:00.0     0-edge      vfio-msi[0](0000:05:00.0)
 NMI:          1          1   Non-maskable interrupts
`;

test('interrupts of devices that VMs have, by vector, over all CPUs', () => {
  const tree = new TreeBuilder().file('/proc/interrupts', INTERRUPTS);
  const root = tree.root();
  const read = (...addresses: string[]) => readInterruptCounts(root, new Set(addresses));
  expect(read('0000:01:10.0', '0000:05:00.0', '0000:04:00.0')).toEqual([
    { address: '0000:01:10.0', kind: 'msix', vector: 0, count: 6 },
    { address: '0000:01:10.0', kind: 'msix', vector: 1, count: 30 },
    { address: '0000:01:10.0', kind: 'msix', vector: 2, count: 1000 },
    { address: '0000:04:00.0', kind: 'intx', vector: 0, count: 120 },
    { address: '0000:05:00.0', kind: 'msi', vector: 0, count: 7 },
  ]);
  expect(read('0000:06:00.0')).toEqual([]);
  tree.remove();
});

test('the host does not count those that its IOMMU posts to running vCPUs', () => {
  const posts = (files: Record<string, string>): boolean => {
    const tree = new TreeBuilder().files(files);
    try {
      return postsInterrupts(tree.root());
    } finally {
      tree.remove();
    }
  };
  const apicv = '/sys/module/kvm_intel/parameters/enable_apicv';
  const cap = '/sys/class/iommu/dmar0/intel-iommu/cap';
  expect(posts({ [apicv]: 'Y\n', [cap]: '19ed008c40780c66\n' })).toBe(true);
  expect(posts({ [apicv]: 'N\n', [cap]: '19ed008c40780c66\n' })).toBe(false);
  expect(posts({ [apicv]: 'Y\n', [cap]: '00d2008c222f0686\n' })).toBe(false);
  const avic = '/sys/module/kvm_amd/parameters/avic';
  const features = '/sys/class/iommu/ivhd0/amd-iommu/features';
  expect(posts({ [avic]: 'Y\n', [features]: '246577efa2254ada\n' })).toBe(true);
  expect(posts({ [avic]: 'N\n', [features]: '246577efa2254ada\n' })).toBe(false);
  expect(posts({})).toBe(false);
});
