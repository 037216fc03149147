import { expect, test } from 'vitest';
import { readPci } from '../../../src/host/pci/read.ts';
import { parseLinks } from '../../../src/host/sriov/ip-link.ts';
import { readSriov } from '../../../src/host/sriov/read.ts';
import { serverTree } from '../trees/server.ts';

test('physical functions with their VFs and settings', async () => {
  const tree = serverTree();
  const root = tree.root();
  const physical = await readSriov(root, readPci(root));
  tree.remove();
  expect(physical.map(pf => [pf.address, pf.total, pf.current])).toEqual([
    ['0000:3b:00.0', 32, 0],
    ['0000:3b:00.1', 32, 0],
    ['0000:3b:00.2', 32, 4],
    ['0000:3b:00.3', 32, 0],
  ]);
  expect(physical[2]).toMatchObject({
    offset: 78,
    stride: 1,
    vfDevice: '154c',
    autoprobe: true,
    manager: 'ens1f2',
  });
  expect(physical[2]?.vfs[0]).toEqual({
    index: 0,
    address: '0000:3b:0a.0',
    driver: 'vfio-pci',
    iommuGroup: 84,
    interfaces: [],
    attributes: {
      mac: '02:00:00:00:00:00',
      vlan: 42,
      qos: 0,
      trust: false,
      spoofCheck: true,
      linkState: 'auto',
      maxTxRate: 0,
      minTxRate: 0,
    },
  });
});

test('both spellings of iproute2 are read; missing values are unknown', () => {
  const links = parseLinks(
    '[{"ifname":"eth0","vfinfo_list":[{"vf":0,"address":"02:00:00:00:00:01","vlan":7,"tx_rate":500},{"vf":1}]}]',
  );
  expect(links?.get('eth0')?.vfs.get(0)).toMatchObject({ mac: '02:00:00:00:00:01', vlan: 7, maxTxRate: 500 });
  expect(links?.get('eth0')?.vfs.get(1)).toMatchObject({ mac: null, trust: null, linkState: null });
});

test('text instead of JSON is ignored', () => {
  expect(parseLinks('1: lo: <LOOPBACK,UP>')).toBeNull();
  expect(parseLinks('{"ifname":1}')).toBeNull();
});
