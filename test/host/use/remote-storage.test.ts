import { afterEach, describe, expect, test } from 'vitest';
import { networkCheck } from '../../../src/host/plan/checks/network.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { TreeBuilder } from '../trees/builder.ts';
import { routeHeading, routeLine } from '../trees/common.ts';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

const management = '0000:00:02.0';
const storage = '0000:00:03.0';

/** A host with a card for everything, and one for storage alone, without a gateway. */
function host(): TreeBuilder {
  const tree = new TreeBuilder();
  trees.push(tree);
  for (const address of [management, storage]) {
    tree.pci({ address, id: '8086:1572', class: '020000', driver: 'i40e' });
  }
  return tree
    .net('eth0', { on: management, addresses: ['192.0.2.10/24'] })
    .net('eth1', { on: storage, addresses: ['198.51.100.10/24'] })
    .file(
      '/proc/net/route',
      routeHeading +
        routeLine('eth0', '0.0.0.0', '192.0.2.1', '0.0.0.0') +
        routeLine('eth0', '192.0.2.0', '0.0.0.0', '255.255.255.0') +
        routeLine('eth1', '198.51.100.0', '0.0.0.0', '255.255.255.0'),
    );
}

async function checks(tree: TreeBuilder, address = storage) {
  const survey = await readSurvey(tree.root());
  const fn = survey.byAddress.get(address)!;
  const users = { byAddress: new Map(), complete: true };
  return networkCheck({ survey, fn, driver: 'vfio-pci', taken: new Set([address]), users }).map(
    ({ level, reason }) => `${level}: ${reason}`,
  );
}

function iscsiDisk(tree: TreeBuilder, server = '198.51.100.5'): void {
  const session = '/sys/devices/platform/host3/session1';
  tree
    .file(`${session}/connection1:0/iscsi_connection/connection1:0/address`, `${server}\n`)
    .relativeLink(
      '/sys/class/iscsi_connection/connection1:0',
      `${session}/connection1:0/iscsi_connection/connection1:0`,
    )
    .block('sda', { directory: `${session}/target3:0:0/3:0:0:1/block/sda`, number: '8:0', holders: ['dm-0'] })
    .block('dm-0', {
      directory: '/sys/devices/virtual/block/dm-0',
      number: '253:0',
      mapper: { name: 'vg-root', uuid: 'LVM-x' },
    });
}

const rootMount = (device: string, type = 'ext4') =>
  `22 1 ${device} / / rw shared:1 - ${type} /dev/mapper/vg-root rw\n`;

describe('a card that reaches the storage of the host is needed, even without a gateway:', () => {
  test('iSCSI, through LVM', async () => {
    const tree = host();
    iscsiDisk(tree);
    tree.file('/proc/self/mountinfo', rootMount('253:0'));
    expect(await checks(tree)).toEqual([
      'block: eth1 carries the disk sda (iSCSI, 198.51.100.5), below the LVM volume vg-root, mounted on /',
    ]);
    expect(await checks(tree, management)).toEqual(['block: eth0 carries the default route to 192.0.2.1']);
  });

  test('connected but unused storage is a warning', async () => {
    const tree = host();
    const session = '/sys/devices/platform/host3/session2';
    tree
      .file(`${session}/x`, '')
      .file('/sys/class/iscsi_connection/connection2:0/persistent_address', '198.51.100.6\n')
      .block('sdb', { directory: `${session}/target3:0:0/3:0:0:1/block/sdb`, number: '8:16' });
    expect(await checks(tree)).toEqual([
      'warn: eth1 has the address 198.51.100.10/24, carries the disk sdb (iSCSI, 198.51.100.6)',
    ]);
  });

  test('NVMe over TCP, with several paths and an interface of its own', async () => {
    const tree = host();
    const controller = '/sys/devices/virtual/nvme-fabrics/ctl/nvme5';
    const subsystem = '/sys/devices/virtual/nvme-subsystem/nvme-subsys5';
    tree
      .file(`${controller}/transport`, 'tcp\n')
      .file(`${controller}/address`, 'traddr=203.0.113.9,trsvcid=4420,host_iface=eth1\n')
      .relativeLink('/sys/class/nvme/nvme5', controller)
      .relativeLink(`${subsystem}/nvme5`, controller)
      .relativeLink('/sys/class/nvme-subsystem/nvme-subsys5', subsystem)
      .block('nvme5n1', { directory: `${subsystem}/nvme5n1`, number: '259:0' })
      .block('nvme5n1p1', { directory: `${subsystem}/nvme5n1/nvme5n1p1`, number: '259:1', partition: 1 })
      .file('/proc/self/mountinfo', '22 1 259:1 / /srv rw - xfs /dev/nvme5n1p1 rw\n');
    expect(await checks(tree)).toEqual([
      'block: eth1 carries the disk nvme5n1 (NVMe over tcp, 203.0.113.9), mounted on /srv',
    ]);
  });

  test.each([
    ['0:44 / / rw - nfs4 198.51.100.7:/export rw,vers=4.2,addr=198.51.100.7', 'nfs4'],
    ['0:44 / / rw - cifs //server/share rw,username=u,addr=198.51.100.7', 'cifs'],
    ['0:44 / / rw - ceph 198.51.100.7:6789,203.0.113.1:6789:/ rw', 'ceph'],
  ])('a file system of a server: %s', async (mount, type) => {
    const tree = host().file('/proc/self/mountinfo', `22 1 ${mount}\n`);
    expect((await checks(tree))[0]).toMatch(
      new RegExp(`^block: eth1 carries .* \\(${type}, 198\\.51\\.100\\.7\\), mounted on /$`),
    );
  });
});
