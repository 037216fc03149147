import fs from 'node:fs';
import { expect, test } from 'vitest';
import { isolationOf } from '../../../src/host/iommu/acs.ts';
import { readIommuGroups } from '../../../src/host/iommu/groups.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';

function groupsOf(tree: TreeBuilder) {
  const root = tree.root();
  const functions = readPci(root);
  const groups = readIommuGroups(root, functions);
  tree.remove();
  return { functions, groups: new Map(groups.map(group => [group.id, group])) };
}

test('names the port and the device for a graphics card below a port without ACS', () => {
  const group = groupsOf(desktopTree()).groups.get(1)!;
  expect(group.members).toEqual(['0000:00:01.0', ...[0, 1, 2, 3].map(fn => `0000:01:00.${fn}`)]);
  expect(group.type).toBe('DMA-FQ');
  expect(group.reserved).toEqual([{ start: '0xfee00000', end: '0xfeefffff', type: 'msi' }]);
  expect(group.reasons).toMatchObject([
    { kind: 'port', at: '0000:00:01.0', members: group.members },
    { kind: 'functions', at: '0000:01:00' },
  ]);
  expect(group.override).toBeNull();
});

test('names the bridge of a conventional bus', () => {
  const group = groupsOf(serverTree()).groups.get(2)!;
  expect(group.reasons).toMatchObject([
    { kind: 'conventional-bus', at: '0000:01:00.0', members: ['0000:01:00.0', '0000:02:00.0'] },
  ]);
});

test('a group of one needs no reason', () => {
  const { groups, functions } = groupsOf(serverTree());
  expect(groups.get(40)?.reasons).toEqual([]);
  expect(isolationOf(functions.find(fn => fn.address === '0000:3a:00.0')!)).toEqual({ state: 'isolates' });
});

test('groups split by pcie_acs_override are marked, others are not', () => {
  const { groups } = groupsOf(desktopTree({ acsOverride: true }));
  expect(groups.get(20)?.override?.at).toEqual(['0000:00:01.0', '0000:01:00.0']);
  expect(groups.get(20)?.override?.text).toContain('pcie_acs_override');
  expect(groups.get(4)?.override).toBeNull();
});

test('without root, the reason is that config space is not readable', () => {
  const tree = desktopTree();
  for (const address of ['0000:00:01.0', '0000:01:00.0', '0000:01:00.1', '0000:01:00.2', '0000:01:00.3']) {
    const config = `${tree.pathOf(address)}/config`;
    tree.file(config, fs.readFileSync(tree.at(config)).subarray(0, 64));
  }
  expect(groupsOf(tree).groups.get(1)?.reasons).toMatchObject([{ kind: 'unreadable' }]);
});

test('no IOMMU, no groups', () => {
  const { groups, functions } = groupsOf(noIommuTree());
  expect(groups.size).toBe(0);
  expect(functions.every(fn => fn.iommuGroup === null)).toBe(true);
});
