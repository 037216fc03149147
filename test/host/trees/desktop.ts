import { TreeBuilder } from './builder.ts';
import {
  endpoint,
  intelCpu,
  memory32,
  moduleFiles,
  rootPort,
  routeHeading,
  routeLine,
  system,
} from './common.ts';
import { dmarTable } from './server.ts';

/**
 * A desktop (Coffee Lake) whose graphics card has four functions - GPU, HDMI audio, USB-C's xHCI and its UCSI - in
 * one group with the processor's root port, which has no ACS. The processor's own graphics shows the console. The
 * network card is on board; / is on the SATA disk; Ubuntu with GRUB.
 */
export function desktopTree(options: { acsOverride?: boolean } = {}): TreeBuilder {
  const tree = new TreeBuilder();
  const override = options.acsOverride ? ' pcie_acs_override=downstream,multifunction' : '';
  system(tree, {
    osRelease:
      'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
    cpuinfo: intelCpu.replace('Xeon(R) Gold 6130 CPU @ 2.10GHz', 'Core(TM) i7-8700K CPU @ 3.70GHz'),
    cmdline: `BOOT_IMAGE=/vmlinuz root=/dev/sda2 ro quiet splash intel_iommu=on iommu=pt${override}`,
  });
  moduleFiles(tree);
  tree
    .module('kvm')
    .module('kvm_intel', { ept: 'Y', nested: 'N' })
    .file('/sys/firmware/acpi/tables/DMAR', dmarTable(true))
    .files({
      '/etc/default/grub':
        'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\nGRUB_CMDLINE_LINUX=""\n',
      '/usr/sbin/update-grub': '',
      '/usr/sbin/update-initramfs': '',
      '/etc/initramfs-tools/modules': '# List of modules that you want to include in your initramfs.\n',
      '/proc/interrupts': '      CPU0\n 30:  5  IR-PCI-MSI-0000:00:1f.6  0-edge  enp0s31f6\n',
    })
    .relativeLink('/sys/class/iommu/dmar0', '/sys/devices/virtual/iommu/dmar0')
    .node('/dev/kvm', 232, { mode: 0o660 });
  chipset(tree);
  graphicsCard(tree, options.acsOverride === true);
  return tree;
}

function chipset(tree: TreeBuilder): void {
  tree
    .pci({ address: '0000:00:00.0', id: '8086:3ec2', class: '060000', group: 0 })
    .pci({
      address: '0000:00:02.0',
      id: '8086:3e98',
      class: '030000',
      group: 2,
      driver: 'i915',
      attributes: { boot_vga: '1', reset_method: 'flr pm', reset: '' },
      capabilities: [{ kind: 'pm' }, { kind: 'pcie', type: 9, flr: true }],
    })
    .pci({
      address: '0000:00:17.0',
      id: '8086:a304',
      class: '010601',
      group: 4,
      driver: 'ahci',
      capabilities: [{ kind: 'pm' }, { kind: 'msi', vectorsPower: 0 }],
    })
    .pci({ address: '0000:00:1f.0', id: '8086:a304', class: '060100', group: 8, multifunction: true })
    .pci({
      address: '0000:00:1f.6',
      id: '8086:10c9',
      class: '020000',
      group: 8,
      driver: 'e1000e',
      multifunction: true,
      capabilities: [{ kind: 'pm' }, { kind: 'msi', vectorsPower: 0 }],
    });
  const igpu = tree.pathOf('0000:00:02.0');
  const disk = `${tree.pathOf('0000:00:17.0')}/ata1/host0/target0:0:0/0:0:0:0/block/sda`;
  tree
    .relativeLink('/sys/class/drm/card1', `${igpu}/drm/card1`)
    .relativeLink('/sys/class/drm/card1-HDMI-A-1', `${igpu}/drm/card1/card1-HDMI-A-1`)
    .file(`${igpu}/drm/card1/card1-HDMI-A-1/status`, 'connected\n')
    .relativeLink('/sys/class/graphics/fb0', `${igpu}/graphics/fb0`)
    .file('/sys/class/vtconsole/vtcon1/bind', '1\n')
    .file('/sys/class/vtconsole/vtcon1/name', '(M) frame buffer device\n')
    .block('sda', { directory: disk, number: '8:0' })
    .block('sda2', {
      directory: `${disk}/sda2`,
      number: '8:2',
      partition: 2,
      udev: { ID_FS_TYPE: 'ext4' },
    })
    .file('/proc/self/mountinfo', '22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n')
    .net('enp0s31f6', {
      on: '0000:00:1f.6',
      mac: '4c:cc:6a:00:00:01',
      addresses: ['192.168.1.20/24'],
    })
    .file('/proc/net/route', routeHeading + routeLine('enp0s31f6', '0.0.0.0', '192.168.1.1', '0.0.0.0'));
}

const functions = [
  ['10de:1e87', '030000', 'nouveau'],
  ['10de:10f8', '040300', 'snd_hda_intel'],
  ['10de:1ad8', '0c0330', 'xhci_hcd'],
  ['10de:1ad9', '0c8000', 'nvidia-gpu'],
] as const;

function graphicsCard(tree: TreeBuilder, split: boolean): void {
  tree.pci({
    address: '0000:00:01.0',
    id: '8086:1901',
    class: '060400',
    group: 1,
    driver: 'pcieport',
    bridge: { secondary: 1, subordinate: 1 },
    capabilities: rootPort(),
  });
  functions.forEach(([id, code, driver], index) => {
    tree.pci({
      address: `0000:01:00.${index}`,
      parent: '0000:00:01.0',
      id,
      subsystem: '1458:37a7',
      class: code,
      // What pcie_acs_override does: each function a group of its own.
      group: split ? 20 + index : 1,
      driver,
      multifunction: true,
      regions: index === 0 ? [[0xf600_0000, 0x100_0000, memory32]] : [],
      capabilities: endpoint(),
      attributes: {
        reset_method: index === 0 ? 'bus' : '',
        ...(index === 0 ? { boot_vga: '0', reset: '' } : {}),
      },
    });
  });
  const gpu = tree.pathOf('0000:01:00.0');
  tree.relativeLink('/sys/class/drm/card0', `${gpu}/drm/card0`);
}
