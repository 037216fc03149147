import { TreeBuilder } from './builder.ts';
import { acsOn, amdCpu, endpoint, moduleFiles, rootPort, routeHeading, routeLine, system } from './common.ts';

/**
 * An AMD host (Matisse): Fedora with systemd-boot, one graphics card that is the boot display, two equal NVMe disks,
 * a RAID array below an opened LUKS volume on the first of them and a ZFS pool on the second, an I350 with a VLAN.
 */
export function amdTree(): TreeBuilder {
  const tree = new TreeBuilder();
  system(tree, {
    osRelease:
      'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42 (Server Edition)"\n',
    cpuinfo: amdCpu,
    cmdline: 'root=/dev/mapper/luks-root ro rootflags=subvol=root',
  });
  moduleFiles(tree);
  tree
    .module('kvm')
    .module('kvm_amd', { npt: '1', nested: '1' })
    .file('/sys/firmware/acpi/tables/IVRS', Buffer.from('IVRS'))
    .relativeLink('/sys/class/iommu/ivhd0', '/sys/devices/pci0000:00/0000:00:00.2/iommu/ivhd0')
    .files({
      '/boot/loader/entries/fedora-6.12.conf':
        'title Fedora Linux 42\nversion 6.12\nlinux /vmlinuz-6.12\ninitrd /initramfs-6.12.img\noptions root=/dev/mapper/luks-root ro rootflags=subvol=root\n',
      '/boot/loader/entries/fedora-rescue.conf':
        'title Fedora Linux rescue\nlinux /vmlinuz-rescue\noptions root=/dev/mapper/luks-root ro\n',
      '/etc/kernel/cmdline': 'root=/dev/mapper/luks-root ro rootflags=subvol=root\n',
      '/usr/bin/kernel-install': '',
      '/usr/bin/dracut': '',
      '/proc/interrupts': '      CPU0\n 40:  5  IR-PCI-MSI-0000:04:00.0  0-edge  enp4s0f0\n',
    })
    .node('/dev/kvm', 232, { mode: 0o666 });
  ports(tree);
  devices(tree);
  storage(tree);
  tree
    .net('enp4s0f0', {
      on: '0000:04:00.0',
      mac: 'a0:36:9f:00:00:01',
      uppers: ['enp4s0f0.10'],
    })
    .net('enp4s0f0.10', { mac: 'a0:36:9f:00:00:01', addresses: ['10.0.10.5/24', '2001:db8::5/64'] })
    .net('enp4s0f1', { on: '0000:04:00.1', mac: 'a0:36:9f:00:00:02' })
    .file('/proc/net/route', routeHeading + routeLine('enp4s0f0.10', '0.0.0.0', '10.0.10.1', '0.0.0.0'));
  return tree;
}

function ports(tree: TreeBuilder): void {
  tree
    .pci({ address: '0000:00:00.0', id: '1022:1480', class: '060000' })
    .pci({ address: '0000:00:00.2', id: '1022:1481', class: '080600' })
    .pci({
      address: '0000:00:14.0',
      id: '1022:790b',
      class: '0c0500',
      group: 9,
      multifunction: true,
      driver: 'piix4_smbus',
    })
    .pci({ address: '0000:00:14.3', id: '1022:790e', class: '060100', group: 9, multifunction: true });
  for (const [device, bus] of [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ] as const) {
    tree.pci({
      address: `0000:00:0${device}.1`,
      id: '1022:1483',
      class: '060400',
      group: 10 + device,
      driver: 'pcieport',
      multifunction: true,
      bridge: { secondary: bus, subordinate: bus },
      capabilities: rootPort(acsOn),
    });
  }
}

function devices(tree: TreeBuilder): void {
  tree
    .pci({
      address: '0000:01:00.0',
      parent: '0000:00:01.1',
      id: '1002:73bf',
      class: '030000',
      group: 20,
      driver: 'amdgpu',
      multifunction: true,
      attributes: { boot_vga: '1', reset_method: '' },
      capabilities: endpoint({ kind: 'ats', enabled: true }, acsOn),
    })
    .pci({
      address: '0000:01:00.1',
      parent: '0000:00:01.1',
      id: '1002:ab28',
      class: '040300',
      group: 21,
      driver: 'snd_hda_intel',
      multifunction: true,
      capabilities: endpoint(acsOn),
    });
  for (const [index, address, parent] of [
    [0, '0000:02:00.0', '0000:00:02.1'],
    [1, '0000:03:00.0', '0000:00:03.1'],
  ] as const) {
    tree.pci({
      address,
      parent,
      id: '144d:a808',
      subsystem: '144d:a801',
      class: '010802',
      group: 22 + index,
      driver: 'nvme',
      capabilities: endpoint(),
      attributes: { reset_method: 'flr bus', reset: '' },
    });
    tree.file(`${tree.pathOf(address)}/nvme/nvme${index}/serial`, `S4EVNX0M${index}00002\n`);
  }
  for (const port of [0, 1]) {
    tree.pci({
      address: `0000:04:00.${port}`,
      parent: '0000:00:04.1',
      id: '8086:1521',
      class: '020000',
      group: 24 + port,
      driver: 'igb',
      multifunction: true,
      attributes: {
        reset_method: 'flr pm',
        reset: '',
        sriov_totalvfs: '7',
        sriov_numvfs: '0',
        sriov_drivers_autoprobe: '1',
      },
      capabilities: endpoint(acsOn, {
        kind: 'sriov',
        total: 7,
        current: 0,
        offset: 128,
        stride: 4,
        vfDevice: '1520',
      }),
    });
  }
}

/** The disk of the first controller is a multipath head, as the kernel makes it: virtual in sysfs. */
function storage(tree: TreeBuilder): void {
  const subsystem = '/sys/devices/virtual/nvme-subsystem/nvme-subsys0';
  const head = `${subsystem}/nvme0n1`;
  const second = `${tree.pathOf('0000:03:00.0')}/nvme/nvme1/nvme1n1`;
  tree
    .relativeLink('/sys/class/nvme-subsystem/nvme-subsys0', subsystem)
    .relativeLink(`${subsystem}/nvme0`, `${tree.pathOf('0000:02:00.0')}/nvme/nvme0`)
    .block('nvme0n1', { directory: head, number: '259:0' })
    .block('nvme0n1p1', {
      directory: `${head}/nvme0n1p1`,
      number: '259:1',
      partition: 1,
      holders: ['md127'],
      udev: { ID_FS_TYPE: 'linux_raid_member' },
    })
    .block('md127', {
      directory: '/sys/devices/virtual/block/md127',
      number: '9:127',
      raid: 'raid1',
      holders: ['dm-0'],
      udev: { ID_FS_TYPE: 'crypto_LUKS' },
    })
    .block('dm-0', {
      directory: '/sys/devices/virtual/block/dm-0',
      number: '253:0',
      mapper: { name: 'luks-root', uuid: 'CRYPT-LUKS2-00-luks-root' },
      udev: { ID_FS_TYPE: 'btrfs' },
    })
    .block('nvme1n1', { directory: second, number: '259:4' })
    .block('nvme1n1p1', {
      directory: `${second}/nvme1n1p1`,
      number: '259:5',
      partition: 1,
      udev: { ID_FS_TYPE: 'zfs_member', ID_FS_LABEL: 'tank' },
    })
    .file('/proc/spl/kstat/zfs/tank/state', 'ONLINE\n')
    .link('/sys/fs/btrfs/0b1c/devices/dm-0', '../../../../devices/virtual/block/dm-0')
    .file(
      '/proc/self/mountinfo',
      '22 1 0:24 /root / rw,relatime shared:1 - btrfs /dev/mapper/luks-root rw,subvol=/root\n' +
        '23 22 0:40 / /tank rw,relatime shared:2 - zfs tank rw\n',
    );
}
