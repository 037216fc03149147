import { describe, expect, test } from 'vitest';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import { planKernelParameters } from '../../../src/host/plan/kernel-parameters.ts';
import { amdTree } from '../trees/amd.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';
import { expectRollback } from './faults.ts';
import { SimulatedHost } from './simulated-host.ts';

const added = { add: ['intel_iommu=on', 'pcie_aspm=off'], remove: [] };

/** What the boot loader generates is there, as it has generated it. */
async function installed(host: SimulatedHost): Promise<void> {
  for (const tool of ['/usr/sbin/update-grub', '/usr/sbin/grubby'] as const) {
    if (host.root.exists(tool)) await host.run([tool]);
  }
}

const loaders: readonly [string, () => TreeBuilder, RegExp, string][] = [
  ['GRUB of Debian and Ubuntu', desktopTree, /^GRUB_CMDLINE_LINUX=.*pcie_aspm=off/m, '/etc/default/grub'],
  ['GRUB 0.97', noIommuTree, /^\tkernel .*intel_iommu=on pcie_aspm=off$/m, '/boot/grub/grub.conf'],
  ['grubby', serverTree, /pcie_aspm=off/, '/boot/loader/arguments'],
  [
    'systemd-boot',
    amdTree,
    /^options .*intel_iommu=on pcie_aspm=off$/m,
    '/boot/loader/entries/fedora-6.12.conf',
  ],
];

describe.each(loaders)('kernel parameters with %s', (_, makeTree, pattern, file) => {
  test('are added, and removed after a failure of any step', async () => {
    const host = new SimulatedHost(makeTree());
    await installed(host);
    expect(await applyPlan(host, planKernelParameters(host.root, added))).toMatchObject({ problem: null });
    expect(host.root.text(file)).toMatch(pattern);
    host.dispose();
    await expectRollback(makeTree, survey => planKernelParameters(survey.root, added), installed);
  });
});

test('a file not written by vring is backed up before the first change', async () => {
  const host = new SimulatedHost(desktopTree());
  const before = host.root.text('/etc/default/grub');
  await applyPlan(host, planKernelParameters(host.root, { add: ['a=1'], remove: [] }));
  await applyPlan(host, planKernelParameters(host.root, { add: ['b=2'], remove: [] }));
  expect(host.root.text('/etc/default/grub')).toMatch(/a=1 b=2/);
  expect(host.root.text('/etc/default/grub.before-vring')).toBe(before);
  host.dispose();
});

test('what kept the IOMMU off is removed, and named', () => {
  const tree = desktopTree();
  tree.file('/etc/default/grub', 'GRUB_CMDLINE_LINUX="iommu=off intel_iommu=sm_on,off quiet"\n');
  const plan = planKernelParameters(tree.root(), { add: ['intel_iommu=on', 'iommu=pt'], remove: [] });
  expect(plan.notes).toEqual(['takes effect at the next boot', 'intel_iommu=off iommu=off is removed']);
  tree.remove();
});

test('a removed parameter that contradicts the request is named', () => {
  const tree = desktopTree();
  tree.file('/etc/default/grub', 'GRUB_CMDLINE_LINUX="amd_iommu=off quiet"\n');
  const plan = planKernelParameters(tree.root(), { add: ['iommu=pt'], remove: ['amd_iommu=off'] });
  expect(plan.notes).toEqual(['takes effect at the next boot', 'amd_iommu=off is removed']);
  expect(plan.steps[0]!.action).toMatchObject({ content: 'GRUB_CMDLINE_LINUX="quiet iommu=pt"\n' });
  tree.remove();
});
