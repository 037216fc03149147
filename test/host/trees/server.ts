import { TreeBuilder } from './builder.ts';
import {
  acsOn,
  endpoint,
  intelCpu,
  memory64,
  moduleFiles,
  rootPort,
  routeHeading,
  routeLine,
  system,
} from './common.ts';

/**
 * A two-socket server (Xeon Scalable) with a four-port X710 in socket 0, two NVMe disks in socket 1 and a BMC's
 * display. Ports 0 and 1 are bonded below the bridge with the default route; port 2 has four VFs, the first of
 * them given to a running VM; / is an LVM volume on the first disk.
 */
export function serverTree(): TreeBuilder {
  const tree = new TreeBuilder();
  system(tree, {
    osRelease:
      'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n',
    cpuinfo: intelCpu,
    cmdline: 'BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=/dev/mapper/vg0-root ro intel_iommu=on iommu=pt',
  });
  moduleFiles(tree);
  tree
    .module('kvm')
    .module('kvm_intel', { ept: 'Y', nested: 'Y' })
    .module('vfio', { enable_unsafe_noiommu_mode: 'N' })
    .module('vfio_pci', { disable_idle_d3: 'N' })
    .module('vfio_iommu_type1', { allow_unsafe_interrupts: 'N', dma_entry_limit: '65535' })
    .file('/sys/firmware/acpi/tables/DMAR', dmarTable(true))
    .file('/usr/sbin/grubby', '')
    .file('/usr/bin/dracut', '')
    .file('/sys/devices/system/node/node1/cpulist', '16-31\n')
    .relativeLink('/sys/class/iommu/dmar0', '/sys/devices/virtual/iommu/dmar0')
    .file(
      '/proc/interrupts',
      `      CPU0 CPU1\n 24:  7  1  IR-PCI-MSIX-0000:3b:00.0  0-edge  i40e-ens1f0-TxRx-0\n`,
    )
    .node('/dev/kvm', 232, { mode: 0o660 })
    .node('/dev/vfio/vfio', 196, { mode: 0o666 })
    .node('/dev/vfio/84', 84);

  chipset(tree);
  networkCard(tree);
  disks(tree);
  addressing(tree);
  tree
    .file('/proc/4211/comm', 'qemu-system-x86\n')
    .link('/proc/4211/fd/0', '/dev/null')
    .link('/proc/4211/fd/27', '/dev/vfio/84');
  return tree;
}

function chipset(tree: TreeBuilder): void {
  tree
    .pci({ address: '0000:00:00.0', id: '8086:2020', class: '060000', group: 0, node: 0 })
    .pci({
      address: '0000:00:1c.0',
      id: '8086:2030',
      class: '060400',
      group: 1,
      node: 0,
      driver: 'pcieport',
      bridge: { secondary: 1, subordinate: 2 },
      capabilities: rootPort(acsOn),
    })
    .pci({
      address: '0000:01:00.0',
      parent: '0000:00:1c.0',
      id: '1a03:1150',
      class: '060400',
      group: 2,
      node: 0,
      bridge: { secondary: 2, subordinate: 2 },
      capabilities: [{ kind: 'pcie', type: 7 }],
    })
    .pci({
      address: '0000:02:00.0',
      parent: '0000:01:00.0',
      id: '1a03:2000',
      class: '030000',
      group: 2,
      node: 0,
      driver: 'ast',
      attributes: { boot_vga: '1' },
      capabilities: [{ kind: 'pm' }],
    })
    .pci({
      address: '0000:00:1f.0',
      id: '8086:a1c1',
      class: '060100',
      group: 3,
      node: 0,
      multifunction: true,
      capabilities: [{ kind: 'pm' }],
    })
    .pci({
      address: '0000:00:1f.4',
      id: '8086:a1a3',
      class: '0c0500',
      group: 3,
      node: 0,
      multifunction: true,
      driver: 'i801_smbus',
    });
  const display = tree.pathOf('0000:02:00.0');
  tree
    .relativeLink('/sys/class/drm/card0', `${display}/drm/card0`)
    .relativeLink('/sys/class/drm/card0-VGA-1', `${display}/drm/card0/card0-VGA-1`)
    .file(`${display}/drm/card0/card0-VGA-1/status`, 'connected\n')
    .relativeLink('/sys/class/graphics/fb0', `${display}/graphics/fb0`)
    .file('/sys/class/vtconsole/vtcon1/bind', '1\n')
    .file('/sys/class/vtconsole/vtcon1/name', '(M) frame buffer device\n');
}

function networkCard(tree: TreeBuilder): void {
  tree.pci({
    address: '0000:3a:00.0',
    id: '8086:2030',
    class: '060400',
    group: 20,
    node: 0,
    driver: 'pcieport',
    bridge: { secondary: 0x3b, subordinate: 0x3b },
    capabilities: [{ kind: 'pcie', type: 4, link: [3, 16, 3, 8], ariForwarding: true }, acsOn],
  });
  for (let port = 0; port < 4; port++) {
    const current = port === 2 ? 4 : 0;
    // The first VF of port n has function number 16 + 32 n of the device.
    const offset = 16 + 31 * port;
    tree.pci({
      address: `0000:3b:00.${port}`,
      parent: '0000:3a:00.0',
      id: '8086:1572',
      subsystem: '8086:0004',
      class: '020000',
      group: 40 + port,
      node: 0,
      driver: 'i40e',
      multifunction: true,
      regions: [[0x38_0000_0000 + port * 0x1000000, 0x1000000, memory64]],
      capabilities: endpoint(
        { kind: 'serial', serial: 'a8-b1-c2-ff-ff-fe-fd-3c' },
        { kind: 'ari' },
        { kind: 'ats', enabled: false },
        { kind: 'sriov', total: 32, current, offset, stride: 1, vfDevice: '154c' },
        acsOn,
      ),
      attributes: {
        reset_method: 'flr pm bus',
        sriov_totalvfs: '32',
        sriov_numvfs: String(current),
        sriov_offset: String(offset),
        sriov_stride: '1',
        sriov_vf_device: '154c',
        sriov_drivers_autoprobe: '1',
        reset: '',
      },
    });
  }
  for (let index = 0; index < 4; index++) {
    tree.pci({
      address: `0000:3b:0a.${index}`,
      parent: '0000:3a:00.0',
      id: '8086:154c',
      subsystem: '8086:0004',
      class: '020000',
      group: 84 + index,
      node: 0,
      driver: index === 0 ? 'vfio-pci' : 'iavf',
      physicalFunction: '0000:3b:00.2',
      capabilities: [
        { kind: 'msix', vectors: 5, bar: 3 },
        { kind: 'pcie', type: 0, flr: true },
        { kind: 'ari' },
      ],
      attributes: { reset_method: 'flr', reset: '', ...(index === 0 ? { driver_override: 'vfio-pci' } : {}) },
    });
  }
}

function disks(tree: TreeBuilder): void {
  tree.pci({
    address: '0000:ae:00.0',
    id: '8086:2030',
    class: '060400',
    group: 60,
    node: 1,
    driver: 'pcieport',
    bridge: { secondary: 0xaf, subordinate: 0xaf },
    capabilities: rootPort(acsOn),
  });
  tree.pci({
    address: '0000:ae:01.0',
    id: '8086:2030',
    class: '060400',
    group: 61,
    node: 1,
    driver: 'pcieport',
    bridge: { secondary: 0xb0, subordinate: 0xb0 },
    capabilities: rootPort(acsOn),
  });
  for (const [index, address, parent] of [
    [0, '0000:af:00.0', '0000:ae:00.0'],
    [1, '0000:b0:00.0', '0000:ae:01.0'],
  ] as const) {
    tree.pci({
      address,
      parent,
      id: '144d:a808',
      subsystem: '144d:a801',
      class: '010802',
      group: 62 + index,
      node: 1,
      driver: 'nvme',
      capabilities: endpoint(),
      attributes: { reset_method: 'flr bus', reset: '' },
    });
    const controller = `${tree.pathOf(address)}/nvme/nvme${index}`;
    tree.file(`${controller}/serial`, `S4EVNX0M${index}00001 \n`);
  }
  const first = `${tree.pathOf('0000:af:00.0')}/nvme/nvme0/nvme0n1`;
  tree
    .block('nvme0n1', { directory: first, number: '259:0' })
    .block('nvme0n1p1', { directory: `${first}/nvme0n1p1`, number: '259:1', partition: 1 })
    .block('nvme0n1p2', {
      directory: `${first}/nvme0n1p2`,
      number: '259:2',
      partition: 2,
      holders: ['dm-0', 'dm-1'],
      udev: { ID_FS_TYPE: 'LVM2_member' },
    })
    .block('dm-0', {
      directory: '/sys/devices/virtual/block/dm-0',
      number: '253:0',
      mapper: { name: 'vg0-root', uuid: 'LVM-abcdef' },
      udev: { ID_FS_TYPE: 'xfs' },
    })
    .block('dm-1', {
      directory: '/sys/devices/virtual/block/dm-1',
      number: '253:1',
      mapper: { name: 'vg0-swap', uuid: 'LVM-abcdeg' },
      udev: { ID_FS_TYPE: 'swap' },
    })
    .block('nvme1n1', {
      directory: `${tree.pathOf('0000:b0:00.0')}/nvme/nvme1/nvme1n1`,
      number: '259:3',
    })
    .file(
      '/proc/self/mountinfo',
      '22 1 253:0 / / rw,relatime shared:1 - xfs /dev/mapper/vg0-root rw\n' +
        '30 22 259:1 / /boot rw,relatime shared:2 - xfs /dev/nvme0n1p1 rw\n',
    )
    .file(
      '/proc/swaps',
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-1                               partition\t4194300\t0\t-2\n',
    );
}

function addressing(tree: TreeBuilder): void {
  tree
    .net('lo', { addresses: ['127.0.0.1/8'] })
    .net('ens1f0', { on: '0000:3b:00.0', mac: '3c:fd:fe:c2:b1:a8', uppers: ['bond0'] })
    .net('ens1f1', { on: '0000:3b:00.1', mac: '3c:fd:fe:c2:b1:a9', uppers: ['bond0'] })
    .net('ens1f2', { on: '0000:3b:00.2', mac: '3c:fd:fe:c2:b1:aa' })
    .net('ens1f3', { on: '0000:3b:00.3', mac: '3c:fd:fe:c2:b1:ab' })
    .net('ens1f2v1', { on: '0000:3b:0a.1', mac: '02:00:00:00:00:01' })
    .net('bond0', { mac: '3c:fd:fe:c2:b1:a8', uppers: ['br0'] })
    .net('br0', { mac: '3c:fd:fe:c2:b1:a8', addresses: ['192.0.2.10/24'] })
    .file(
      '/proc/net/route',
      routeHeading +
        routeLine('br0', '0.0.0.0', '192.0.2.1', '0.0.0.0') +
        routeLine('br0', '192.0.2.0', '0.0.0.0', '255.255.255.0'),
    );
  tree.facts.sshConnections.push('198.51.100.7 50122 192.0.2.10 22');
  const vf = (index: number, mac: string, vlan: number) => ({
    vf: index,
    mac,
    vlan_list: [{ vlan, qos: 0 }],
    rate: { max_tx: 0, min_tx: 0 },
    spoofchk: true,
    link_state: 'auto',
    trust: false,
  });
  tree.facts.commands['ip -j -d link'] = {
    exitCode: 0,
    stderr: '',
    stdout: JSON.stringify([
      { ifname: 'lo' },
      { ifname: 'ens1f1', permaddr: '3c:fd:fe:c2:b1:a9' },
      {
        ifname: 'ens1f2',
        vfinfo_list: [0, 1, 2, 3].map(index => vf(index, `02:00:00:00:00:0${index}`, index === 0 ? 42 : 0)),
      },
    ]),
  };
}

/** An ACPI DMAR table: header, host address width, flags (bit 0: interrupt remapping). */
export function dmarTable(interruptRemapping: boolean): Buffer {
  const table = Buffer.alloc(48);
  table.write('DMAR', 0, 'latin1');
  table.writeUInt32LE(48, 4);
  table.writeUInt8(46, 36);
  table.writeUInt8(interruptRemapping ? 1 : 0, 37);
  return table;
}
