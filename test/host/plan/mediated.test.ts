import { afterEach, describe, expect, test } from 'vitest';
import { planBind } from '../../../src/host/plan/bind.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { serverTree } from '../trees/server.ts';

const uuid = 'f0b26769-02ba-4b39-9c1e-1c6b9d0c4b6a';
const pf = '0000:3b:00.2';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

/** @param address where the mediated device is; @param open whether a VM has it open */
function hostWithMediated(address: string, open: boolean): TreeBuilder {
  const tree = serverTree();
  trees.push(tree);
  const directory = `${tree.pathOf(address)}/${uuid}`;
  tree
    .file(`${directory}/remove`, '')
    .relativeLink(`/sys/bus/mdev/devices/${uuid}`, directory)
    .link(`${directory}/iommu_group`, '../../../../kernel/iommu_groups/200');
  if (open) {
    tree.file('/proc/5000/comm', 'qemu-system-x86\n').link('/proc/5000/fd/9', '/dev/vfio/200');
  }
  return tree;
}

const heldBy = async (tree: TreeBuilder, address: string) =>
  planBind(await readSurvey(tree.root()), {
    addresses: [address],
    driver: 'vfio-pci',
    wholeGroup: false,
  }).checks.filter(check => check.code === 'held' && check.level === 'block');

describe('a card that is divided into mediated devices', () => {
  test('is not unbound while a VM has one open, not even with --force', async () => {
    expect(await heldBy(hostWithMediated('0000:3b:00.3', true), '0000:3b:00.3')).toMatchObject([
      {
        forceable: false,
        reason: `its mediated device ${uuid} is open in qemu-system-x86 (pid 5000): stop this VM first`,
      },
    ]);
  });

  test('names those that would end', async () => {
    expect(await heldBy(hostWithMediated('0000:3b:00.3', false), '0000:3b:00.3')).toMatchObject([
      {
        forceable: true,
        reason: `the mediated device ${uuid} on it ends with its driver: remove it first (echo 1 > /sys/bus/mdev/devices/${uuid}/remove)`,
      },
    ]);
    expect(await heldBy(hostWithMediated('0000:3b:00.3', false), '0000:3b:00.1')).toEqual([]);
  });

  test('by its VFs: neither the PF is unbound nor their number changed', async () => {
    const tree = hostWithMediated('0000:3b:0a.1', true);
    expect(await heldBy(tree, pf)).toMatchObject([{ forceable: false }]);
    const { checks } = planVfCount(await readSurvey(tree.root()), { address: pf, count: 0 });
    expect(checks.filter(check => check.code === 'held')).toMatchObject([
      { level: 'block', forceable: false },
    ]);
  });
});

test('a VF that its own driver offers to VMs is used by the VM that has its group open', async () => {
  const tree = serverTree();
  trees.push(tree);
  tree
    .file(`${tree.pathOf('0000:3b:0a.1')}/vfio-dev/vfio3/dev`, '511:3\n')
    .file('/proc/5000/comm', 'qemu-system-x86\n')
    .link('/proc/5000/fd/9', '/dev/vfio/85')
    .node('/dev/vfio/85', 85);
  const { checks } = planVfCount(await readSurvey(tree.root()), { address: pf, count: 0 });
  expect(checks.find(check => check.code === 'sriov')?.reason).toContain(
    '0000:3b:0a.1 is open in qemu-system-x86 (pid 5000)',
  );
});
