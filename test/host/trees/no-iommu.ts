import { TreeBuilder } from './builder.ts';
import { endpoint, moduleFiles, rootPort, system } from './common.ts';

/** An old CentOS host without any IOMMU: legacy GRUB, a kernel without the options, one spare network card. */
export function noIommuTree(): TreeBuilder {
  const tree = new TreeBuilder();
  system(tree, {
    osRelease: 'NAME="CentOS"\nID="centos"\nVERSION_ID="6"\nPRETTY_NAME="CentOS 6.10 (Final)"\n',
    cpuinfo:
      'processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) CPU E5430\nflags\t\t: fpu vme msr vmx\n\n',
    cmdline: 'ro root=/dev/sda1 crashkernel=auto',
    kernelOptions: { INTEL_IOMMU: 'n', AMD_IOMMU: 'n', IRQ_REMAP: 'n', IOMMUFD: 'n', VFIO_NOIOMMU: 'y' },
  });
  moduleFiles(tree);
  tree.files({
    '/boot/grub/grub.conf':
      'default=0\ntimeout=5\ntitle CentOS (2.6.32)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32 ro root=/dev/sda1 crashkernel=auto\n\tinitrd /initramfs-2.6.32.img\n',
    '/sbin/dracut': '',
    '/proc/interrupts': '      CPU0\n 30:  5  PCI-MSI-edge  eth0\n',
  });
  tree
    .pci({
      address: '0000:00:01.0',
      id: '8086:1901',
      class: '060400',
      driver: 'pcieport',
      bridge: { secondary: 1, subordinate: 1 },
      capabilities: rootPort(),
    })
    .pci({
      address: '0000:01:00.0',
      parent: '0000:00:01.0',
      id: '8086:10c9',
      subsystem: '8086:a03c',
      class: '020000',
      driver: 'igb',
      capabilities: endpoint(),
      attributes: { reset: '' },
    });
  return tree;
}
