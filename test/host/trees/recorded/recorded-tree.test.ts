import { afterAll, expect, test } from 'vitest';
import { readEverything } from '../../../../src/host/record.ts';
import { recordedTree } from './recorded-tree.ts';

const { root, remove } = recordedTree('emulated-host');
const host = await readEverything(root);
afterAll(remove);

const withDriver = (driver: string) => host.functions.filter(fn => fn.driver === driver);

test('the emulated host: every kind of device with its driver', () => {
  for (const driver of ['igb', 'igbvf', 'nvme', 'e1000e', 'e1000', 'pcieport', 'vfio-pci']) {
    expect(withDriver(driver)).not.toEqual([]);
  }
});

test('all groups of a real kernel are explained', () => {
  const shared = host.groups.filter(group => group.members.length > 1);
  expect(shared.map(group => group.members.length).sort()).toEqual([2, 3, 3]);
  expect(
    shared
      .flatMap(group => group.reasons)
      .map(reason => reason.kind)
      .sort(),
  ).toEqual(['conventional-bus', 'functions', 'functions']);
});

test('the ids of a VF read as all ones in config space; sysfs has the real ones', () => {
  const pf = host.sriov.find(each => each.driver === 'igb')!;
  expect(pf).toMatchObject({ total: 7, current: 2, vfDevice: '10ca' });
  expect(pf.vfs.map(vf => vf.driver)).toEqual(['igbvf', 'vfio-pci']);
  const vf = host.functions.find(fn => fn.address === pf.vfs[1]!.address)!;
  expect(vf).toMatchObject({ vendor: '8086', device: '10ca', configAccess: 'full', class: '020000' });
  expect(host.vfio.devices).toMatchObject([{ address: vf.address, driver: 'vfio-pci', holders: [] }]);
});

test('an NVMe namespace of a multipath subsystem belongs to its controller', () => {
  const [nvme] = withDriver('nvme');
  const disks = new Map(host.use).get(nvme!.address)?.disks;
  expect(disks?.map(disk => disk.name)).toEqual(['nvme0n1']);
});

test('the root disk is a virtio disk', () => {
  const below = [...host.use].filter(([, use]) =>
    use.disks.some(disk => disk.roles.some(role => role.text === 'mounted on /')),
  );
  const [address] = below[0]!;
  expect(below).toHaveLength(1);
  expect(host.functions.find(fn => fn.address === address)).toMatchObject({
    vendor: '1af4',
    driver: 'virtio-pci',
  });
});
