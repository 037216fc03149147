import { afterAll, expect, test } from 'vitest';
import { readDetails } from '../../../src/host/pci/details.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { bridgesAbove, pciTree } from '../../../src/host/pci/tree.ts';
import { scaleTree } from '../trees/scale.ts';
import { serverTree } from '../trees/server.ts';

const tree = serverTree();
const root = tree.root();
const functions = readPci(root);
const byAddress = new Map(functions.map(fn => [fn.address, fn]));
afterAll(() => tree.remove());

test('reads a physical function completely', () => {
  const pf = byAddress.get('0000:3b:00.2')!;
  expect(pf).toMatchObject({
    parent: '0000:3a:00.0',
    rootBus: '0000:3a',
    class: '020000',
    vendor: '8086',
    device: '1572',
    names: { class: 'Ethernet controller', subsystem: 'Ethernet Converged Network Adapter X710-4' },
    driver: 'i40e',
    driverOverride: null,
    modules: ['i40e'],
    numaNode: 0,
    iommuGroup: 42,
    ariFunction: 2,
    virtualFunctions: ['0000:3b:0a.0', '0000:3b:0a.1', '0000:3b:0a.2', '0000:3b:0a.3'],
    configAccess: 'full',
  });
  expect(pf.regions).toEqual([
    {
      name: 'bar 0',
      kind: 'memory',
      start: '0x3802000000',
      size: 0x1000000,
      bits: 64,
      prefetchable: true,
    },
  ]);
});

test('a virtual function has its ids from sysfs, its number from ARI, its override from the file', () => {
  expect(byAddress.get('0000:3b:0a.0')).toMatchObject({
    vendor: '8086',
    device: '154c',
    physicalFunction: '0000:3b:00.2',
    ariFunction: 80,
    driver: 'vfio-pci',
    driverOverride: 'vfio-pci',
    modules: ['iavf'],
  });
});

test('modules come from class patterns, too, except those that match every device', () => {
  expect(byAddress.get('0000:af:00.0')?.modules).toEqual(['nvme']);
  expect(byAddress.get('0000:00:00.0')?.modules).toEqual([]);
});

test('the tree has VFs below their physical function and bridges above their bus', () => {
  const buses = pciTree(functions);
  expect(buses.map(bus => bus.bus)).toEqual(['0000:00', '0000:3a', '0000:ae']);
  const port = buses[1]!.children[0]!;
  expect(port.children[2]).toMatchObject({
    address: '0000:3b:00.2',
    children: [{ address: '0000:3b:0a.0' }, {}, {}, {}],
  });
  const display = byAddress.get('0000:02:00.0')!;
  expect(bridgesAbove(display, byAddress).map(bridge => bridge.address)).toEqual([
    '0000:01:00.0',
    '0000:00:1c.0',
  ]);
});

test('details: link, resets, interrupts, serial number', () => {
  expect(readDetails(root, byAddress.get('0000:3b:00.0')!)).toMatchObject({
    link: { speed: 8, width: 8, degraded: false },
    powerState: 'D0',
    resetMethods: ['flr', 'pm', 'bus'],
    resettable: true,
    serial: 'a8-b1-c2-ff-ff-fe-fd-3c',
  });
});

test('a function that sleeps in D3cold is not woken', () => {
  tree.file(`${tree.pathOf('0000:b0:00.0')}/power_state`, 'D3cold\n');
  const asleep = readPci(root).find(fn => fn.address === '0000:b0:00.0');
  expect(asleep).toMatchObject({ configAccess: 'asleep', capabilities: [], vendor: '144d', driver: 'nvme' });
});

test('a function that fell off the bus is reported, not decoded', () => {
  tree.file(`${tree.pathOf('0000:b0:00.0')}/power_state`, 'D0\n');
  tree.file(`${tree.pathOf('0000:b0:00.0')}/config`, Buffer.alloc(4096, 0xff));
  expect(readPci(root).find(fn => fn.address === '0000:b0:00.0')).toMatchObject({
    configAccess: 'dead',
    capabilities: [],
  });
});

test('reads 4,096 functions', () => {
  const large = scaleTree();
  const found = readPci(large.root());
  expect(found).toHaveLength(4096);
  expect(found.filter(fn => fn.physicalFunction !== null).every(fn => fn.capabilities.length > 3)).toBe(true);
  large.remove();
}, 120_000);
