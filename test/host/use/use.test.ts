import fs from 'node:fs';
import { expect, test } from 'vitest';
import { readPci } from '../../../src/host/pci/read.ts';
import { readUse, unused, useSummary } from '../../../src/host/use/use.ts';
import { amdTree } from '../trees/amd.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { serverTree } from '../trees/server.ts';

function useOf(tree: TreeBuilder) {
  const root = tree.root();
  const use = readUse(root, readPci(root));
  tree.remove();
  return (address: string) => use.get(address) ?? unused;
}

test('a bond below a bridge: both ports carry the route and the SSH session', () => {
  const use = useOf(serverTree());
  for (const [address, name] of [
    ['0000:3b:00.0', 'ens1f0'],
    ['0000:3b:00.1', 'ens1f1'],
  ] as const) {
    expect(use(address).interfaces[0]?.roles).toMatchObject([
      { kind: 'ssh', through: [name, 'bond0', 'br0'], text: 'carries the SSH session from 198.51.100.7' },
      { kind: 'default-route', through: [name, 'bond0', 'br0'] },
      { kind: 'upper', through: [name, 'bond0'], text: 'is part of bond0' },
      { kind: 'upper', text: 'is part of br0' },
      { kind: 'address', text: 'has the address 192.0.2.10/24' },
    ]);
  }
  expect(use('0000:3b:00.3').interfaces[0]).toMatchObject({ name: 'ens1f3', roles: [] });
});

test('a VLAN on the first port carries the default route; the second port is free', () => {
  const use = useOf(amdTree());
  expect(use('0000:04:00.0').interfaces[0]?.roles[0]).toMatchObject({
    kind: 'default-route',
    through: ['enp4s0f0', 'enp4s0f0.10'],
  });
  expect(useSummary(use('0000:04:00.1'))).toBe('enp4s0f1');
});

test('an SSH session is found by its established connection without the variable', () => {
  const tree = serverTree();
  tree.facts.sshConnections.length = 0;
  tree.file(
    '/proc/net/tcp',
    '  sl  local_address rem_address   st tx_queue rx_queue\n' +
      '   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n' +
      '   1: 0A0200C0:0016 076433C6:C3CA 01 00000000:00000000\n',
  );
  const roles = useOf(tree)('0000:3b:00.0').interfaces[0]?.roles;
  expect(roles?.[0]).toMatchObject({ kind: 'ssh', text: 'carries the SSH session from 198.51.100.7' });
});

test('a card with an interface in another namespace is not unused', () => {
  const tree = serverTree();
  tree.file(`${tree.pathOf('0000:3b:0a.2')}/net/x`, '');
  fs.rmSync(tree.at(`${tree.pathOf('0000:3b:0a.2')}/net/x`));
  expect(useOf(tree)('0000:3b:0a.2').hiddenInterface).toBe(true);
});

test('LVM: the disk is in use by mounts and swap above it', () => {
  const use = useOf(serverTree());
  expect(use('0000:af:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'mount', active: true, through: ['nvme0n1', 'nvme0n1p1'], text: 'mounted on /boot' },
    { kind: 'lvm', text: 'below the LVM volume vg0-root' },
    { kind: 'mount', through: ['nvme0n1', 'nvme0n1p2', 'dm-0'], text: 'mounted on /' },
    { kind: 'lvm', text: 'below the LVM volume vg0-swap' },
    { kind: 'swap', through: ['nvme0n1', 'nvme0n1p2', 'dm-1'] },
  ]);
  expect(use('0000:b0:00.0').disks[0]).toMatchObject({ name: 'nvme1n1', roles: [] });
});

test('a multipath namespace belongs to its controller: RAID, LUKS and btrfs above it', () => {
  const use = useOf(amdTree());
  expect(use('0000:02:00.0').disks[0]?.roles.map(role => role.text)).toEqual([
    'member of the RAID array md127 (raid1)',
    'below the opened encrypted volume luks-root',
    'mounted on /',
  ]);
});

test('a ZFS pool is active when it is imported, content when it is not', () => {
  expect(useOf(amdTree())('0000:03:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'zfs', active: true, text: 'part of the imported ZFS pool tank' },
  ]);
  const exported = amdTree();
  fs.rmSync(exported.at('/proc/spl'), { recursive: true });
  exported.file('/proc/self/mountinfo', '');
  expect(useOf(exported)('0000:03:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'zfs', active: false, text: 'part of a ZFS pool tank' },
  ]);
});

test('a pool that was imported with another name, after udev read its signature, is in use', () => {
  const tree = amdTree();
  fs.rmSync(tree.at('/proc/spl'), { recursive: true });
  tree.file('/proc/spl/kstat/zfs/renamed/state', 'ONLINE\n').file('/proc/self/mountinfo', '');
  expect(useOf(tree)('0000:03:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'zfs', active: true, text: 'may be part of the imported ZFS pool renamed' },
  ]);
});

test("a pool's cache has no signature: the type of its partition shows it", () => {
  const tree = serverTree();
  const disk = `${tree.pathOf('0000:b0:00.0')}/nvme/nvme1/nvme1n1`;
  const partition = (type: string) =>
    tree.block('nvme1n1p1', {
      directory: `${disk}/nvme1n1p1`,
      number: '259:4',
      partition: 1,
      udev: { ID_PART_ENTRY_TYPE: type },
    });
  partition('6A898CC3-1DD2-11B2-99A6-080020736631')
    .file('/proc/spl/kstat/zfs/tank/state', 'ONLINE\n')
    .file('/proc/self/mountinfo', '31 1 0:44 / /tank rw - zfs tank rw\n');
  // The pool's other disk is known.
  tree.block('sdz', {
    directory: '/sys/devices/virtual/sdz',
    number: '8:250',
    udev: { ID_FS_TYPE: 'zfs_member', ID_FS_LABEL: 'tank' },
  });
  expect(useOf(tree)('0000:b0:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'zfs', active: true, text: 'may be a cache of the imported ZFS pool tank' },
  ]);
});

const spareNvme = '0000:b0:00.0';
const spareRoles = (change: (tree: TreeBuilder) => void) => {
  const tree = serverTree();
  change(tree);
  return useOf(tree)(spareNvme).disks[0]?.roles;
};

test('a file system that is mounted elsewhere only, such as in a container, is in use', () => {
  for (const directory of ['/sys/fs/ext4/nvme1n1', '/sys/fs/btrfs/0f5e/devices/nvme1n1']) {
    expect(spareRoles(tree => tree.file(`${directory}/x`, ''))).toMatchObject([
      { kind: 'mount', active: true, text: expect.stringContaining('not where this process sees it') },
    ]);
  }
  // Where it is seen, the place is all that is said.
  const seen = useOf(serverTree().file('/sys/fs/xfs/nvme0n1p1/x', ''))('0000:af:00.0').disks[0]?.roles;
  expect(seen?.[0]).toMatchObject({ kind: 'mount', text: 'mounted on /boot' });
  expect(seen?.filter(role => role.through.at(-1) === 'nvme0n1p1')).toHaveLength(1);
});

test('a loop device on a disk leads to what is mounted from it', () => {
  const roles = spareRoles(tree =>
    tree
      .block('loop0', { directory: '/sys/devices/virtual/block/loop0', number: '7:0' })
      .file('/sys/devices/virtual/block/loop0/loop/backing_file', '/dev/nvme1n1\n')
      .file('/proc/self/mountinfo', '40 1 7:0 / /mnt rw - squashfs /dev/loop0 ro\n'),
  );
  expect(roles?.map(role => role.text)).toEqual(['below the block device loop0', 'mounted on /mnt']);
});

test('an EFI system partition that is not mounted may be what the host boots from', () => {
  const roles = spareRoles(tree =>
    tree.block('nvme1n1p1', {
      directory: `${tree.pathOf(spareNvme)}/nvme/nvme1/nvme1n1/nvme1n1p1`,
      number: '259:4',
      partition: 1,
      udev: { ID_FS_TYPE: 'vfat', ID_PART_ENTRY_TYPE: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b' },
    }),
  );
  expect(roles).toMatchObject([
    { active: false, text: 'holds an EFI system partition, from which this host may boot' },
  ]);
});

test('NVMe over Fibre Channel: the adapter is found by the name of its port', () => {
  const tree = serverTree();
  const adapter = '0000:05:00.0';
  tree.pci({ address: adapter, id: '10df:e300', class: '0c0400', driver: 'lpfc' });
  const port = `${tree.pathOf(adapter)}/host1/fc_host/host1`;
  const controller = '/sys/devices/virtual/nvme-fabrics/ctl/nvme7';
  const subsystem = '/sys/devices/virtual/nvme-subsystem/nvme-subsys7';
  tree
    .file(`${port}/port_name`, '0x10000090fae39706\n')
    .relativeLink('/sys/class/fc_host/host1', port)
    .file(`${controller}/transport`, 'fc\n')
    .file(
      `${controller}/address`,
      'traddr=nn-0x203b:pn-0x203d,host_traddr=nn-0x20000090fae39706:pn-0x10000090FAE39706\n',
    )
    .relativeLink(`${subsystem}/nvme7`, controller)
    .relativeLink('/sys/class/nvme-subsystem/nvme-subsys7', subsystem)
    .block('nvme7n1', { directory: `${subsystem}/nvme7n1`, number: '259:70' })
    .file('/proc/self/mountinfo', '22 1 259:70 / / rw - xfs /dev/nvme7n1 rw\n');
  expect(useOf(tree)(adapter).disks).toMatchObject([{ name: 'nvme7n1', roles: [{ text: 'mounted on /' }] }]);
});

test('bcachefs: each of its devices is in use', () => {
  const tree = serverTree();
  tree.file('/proc/self/mountinfo', '31 1 0:44 / /srv rw - bcachefs /dev/nvme0n1:/dev/nvme1n1 rw\n');
  const use = useOf(tree);
  for (const address of ['0000:af:00.0', '0000:b0:00.0']) {
    expect(use(address).disks[0]?.roles[0]).toMatchObject({ kind: 'mount', text: 'mounted on /srv' });
  }
});

test('without udev any idle disk may be part of an imported pool', () => {
  const tree = amdTree();
  fs.rmSync(tree.at('/run/udev'), { recursive: true });
  const use = useOf(tree);
  expect(use('0000:03:00.0').disks[0]?.roles).toMatchObject([
    { kind: 'zfs', active: true, text: 'may be part of the imported ZFS pool tank' },
  ]);
  expect(use('0000:02:00.0').disks[0]?.roles.some(role => role.kind === 'zfs')).toBe(false);
});

test('the console uses the display that shows it', () => {
  const use = useOf(serverTree());
  expect(use('0000:02:00.0').display).toEqual({
    cards: [{ name: 'card0', connected: ['VGA-1'] }],
    console: true,
    serialConsoles: [],
  });
});
