import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { diskSpace } from '../../src/host/disk-space.ts';
import { HostRoot } from '../../src/host/root.ts';
import { readHostVitals } from '../../src/host/vitals.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { TreeBuilder } from './trees/builder.ts';
import { pressure } from './trees/common.ts';
import { noIommuTree } from './trees/no-iommu.ts';
import { serverTree } from './trees/server.ts';

let tree: TreeBuilder;
beforeEach(() => {
  tree = serverTree();
});
afterEach(() => tree.remove());

const read = () => readHostVitals(tree.root(), '/');

test('CPU time: all but idle and iowait is busy, and guest time is counted once', () => {
  expect(read().cpuTicks).toEqual([
    { busy: 4000, all: 50_000 },
    { busy: 2000, all: 50_000 },
  ]);
});

test('load, uptime and swap', () => {
  expect(read()).toMatchObject({
    loadAverage: [0.51, 0.44, 0.4],
    uptimeSeconds: 1051200.51,
    swap: { totalBytes: 8_192_000_000, freeBytes: 7_168_000_000 },
  });
});

test('huge pages by size, and what KSM saves', () => {
  tree.files({
    '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '4\n',
    '/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages': '1\n',
    '/sys/kernel/mm/ksm/run': '1\n',
    '/sys/kernel/mm/ksm/pages_sharing': '256\n',
  });
  const { hugepages, ksmRuns, ksmSavedBytes } = read();
  expect(hugepages.at(-1)).toEqual({ pageBytes: 2 ** 30, total: 4, free: 1 });
  expect({ ksmRuns, ksmSavedBytes }).toEqual({ ksmRuns: true, ksmSavedBytes: 2 ** 20 });
});

describe('pressure', () => {
  test('is the time that tasks waited for each resource', () => {
    tree.file('/proc/pressure/io', pressure(2_500_000, 1_000_000));
    expect(read().stalled.filter(({ resource }) => resource === 'io')).toEqual([
      { resource: 'io', tasks: 'some', seconds: 2.5 },
      { resource: 'io', tasks: 'full', seconds: 1 },
    ]);
  });

  test('is missing if the kernel does not measure it: no file, or one that cannot be read (psi=0)', () => {
    fs.rmSync(tree.at('/proc/pressure/cpu'));
    tree.facts.unreadable['/proc/pressure/memory'] = 'EOPNOTSUPP';
    expect(read().stalled.map(({ resource }) => resource)).toEqual(['io', 'io']);
  });
});

describe('KVM and the IOMMU', () => {
  test('of a host that has both', () => {
    expect(read()).toMatchObject({ kvm: 'usable', iommuGroups: 17 });
  });

  test('of a host whose /dev/kvm this user may not open, and of one without it', () => {
    const node = tree.facts.nodes.findIndex(({ path }) => path === '/dev/kvm');
    tree.facts.nodes[node] = { ...tree.facts.nodes[node]!, usable: false };
    expect(read().kvm).toBe('forbidden');
    tree.facts.nodes.splice(node, 1);
    expect(read().kvm).toBe('absent');
  });

  test('of a host without an IOMMU', () => {
    const without = noIommuTree();
    expect(readHostVitals(without.root(), '/').iommuGroups).toBe(0);
    without.remove();
  });
});

test('this machine: matches the kernel, and has the space for state', () => {
  const vitals = readHostVitals(new HostRoot('/'), '/no/such/folder');
  expect(vitals.cpuTicks.length).toBe(vitals.cpus);
  expect(vitals.uptimeSeconds).toBeGreaterThan(0);
  expect(vitals.stateSpace).toMatchObject({ path: '/no/such/folder' });
  expect(vitals.stateSpace!.totalBytes).toBeGreaterThan(vitals.stateSpace!.availableBytes);
});

test('a missing folder has the space of its nearest existing parent', () => {
  const folder = temporaryFolder();
  const { totalBytes } = diskSpace(folder)!;
  expect(diskSpace(`${folder}/a/b`)).toMatchObject({ path: `${folder}/a/b`, totalBytes });
});

test('a recording has no disk space', () => {
  expect(read().stateSpace).toBeNull();
});
