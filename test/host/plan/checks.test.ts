import { afterAll, describe, expect, test } from 'vitest';
import { planBind } from '../../../src/host/plan/bind.ts';
import { blocks, type CheckCode, standingBlocks } from '../../../src/host/plan/plan.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { amdTree } from '../trees/amd.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';

const trees: TreeBuilder[] = [];
afterAll(() => {
  for (const tree of trees) tree.remove();
});

/** Checks of one kind for one device, as `level: reason`. */
async function checks(
  tree: TreeBuilder,
  address: string,
  code: CheckCode,
  options: { wholeGroup?: boolean; driver?: string } = {},
): Promise<string[]> {
  const plan = await planOf(tree, address, options);
  return plan.checks
    .filter(check => check.code === code && (check.subject ?? address) === address)
    .map(check => `${check.level}: ${check.reason}`);
}

async function planOf(
  tree: TreeBuilder,
  address: string,
  { wholeGroup = false, driver = 'vfio-pci' }: { wholeGroup?: boolean; driver?: string } = {},
) {
  trees.push(tree);
  return planBind(await readSurvey(tree.root()), { addresses: [address], driver, wholeGroup });
}

describe('the IOMMU', () => {
  test('is on', async () => {
    expect(await checks(serverTree(), '0000:b0:00.0', 'iommu')).toEqual([
      'ok: isolated by the IOMMU in group 63',
    ]);
  });

  test('is off: VFIO would refuse, so --force does not help; pci-stub needs none', async () => {
    const plan = await planOf(noIommuTree(), '0000:01:00.0');
    expect(standingBlocks(plan, true).map(check => check.code)).toEqual(['iommu']);
    expect(await checks(noIommuTree(), '0000:01:00.0', 'iommu', { driver: 'pci-stub' })).toEqual([]);
  });

  test("is off, and VFIO's unsafe mode on: the reason names the risk", async () => {
    const tree = noIommuTree().module('vfio', { enable_unsafe_noiommu_mode: 'Y' });
    expect(await checks(tree, '0000:01:00.0', 'iommu')).toEqual([
      expect.stringMatching(
        /^block: no IOMMU: VFIO uses its unsafe mode, .* can read and write all host memory/,
      ),
    ]);
  });

  test('splits groups only because of pcie_acs_override', async () => {
    const group = await checks(desktopTree({ acsOverride: true }), '0000:01:00.0', 'group');
    expect(group).toEqual([expect.stringMatching(/^warn: pcie_acs_override makes the kernel treat/)]);
  });
});

describe('displays and consoles', () => {
  test('the console, and the boot display', async () => {
    const igpu = await checks(desktopTree(), '0000:00:02.0', 'display');
    expect(igpu[0]).toBe("block: it shows the host's text console");
    expect(igpu[1]).toMatch(/^warn: it is the boot display; 0000:01:00.0 would remain/);
  });

  test('the only card', async () => {
    expect(await checks(amdTree(), '0000:01:00.0', 'display')).toContain(
      'block: it is the last display adapter: the host would have no display',
    );
  });

  test('a second card: its other functions, and its ROM', async () => {
    const tree = desktopTree({ acsOverride: true });
    const [companions] = await checks(tree, '0000:01:00.0', 'card');
    const [rom] = await checks(tree, '0000:01:00.0', 'rom');
    expect(companions).toMatch(
      /^warn: 0000:01:00.1 \(audio device\), .* of the same card would stay with the host/,
    );
    expect(rom).toMatch(/^warn: its ROM cannot be read/);
  });

  test('a serial port with a kernel console', async () => {
    const tree = noIommuTree().file('/sys/class/tty/console/active', 'ttyS4\n');
    tree.relativeLink('/sys/class/tty/ttyS4', `${tree.pathOf('0000:01:00.0')}/tty/ttyS4`);
    expect(await checks(tree, '0000:01:00.0', 'display')).toEqual([
      "block: the kernel's console ttyS4 is on it",
    ]);
  });
});

describe('disks', () => {
  test('below LVM, with file systems and swap', async () => {
    const [reason] = await checks(serverTree(), '0000:af:00.0', 'storage');
    expect(reason).toMatch(/^block: .*mounted on \/boot.*LVM volume vg0-root.*mounted on \/,.*active swap/);
  });

  test('below RAID and LUKS, behind a multipath head', async () => {
    const [reason] = await checks(amdTree(), '0000:02:00.0', 'storage');
    expect(reason).toMatch(/^block: .*RAID array md127.*encrypted volume luks-root.*mounted on \//);
  });

  test('in an imported ZFS pool', async () => {
    expect(await checks(amdTree(), '0000:03:00.0', 'storage')).toEqual([
      'block: nvme1n1 (through nvme1n1p1): part of the imported ZFS pool tank',
    ]);
  });

  test('with unused data, and without data', async () => {
    const tree = serverTree().file('/run/udev/data/b259:3', 'E:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=data\n');
    expect(await checks(tree, '0000:b0:00.0', 'storage')).toEqual([
      'warn: nvme1n1: holds a ext4 file system "data": the guest gets it with all its data',
    ]);
    expect(await checks(serverTree(), '0000:b0:00.0', 'storage')).toEqual(['ok: nothing uses nvme1n1']);
  });
});

describe('network cards', () => {
  test('below a bond and a bridge with the SSH session and the default route', async () => {
    expect(await checks(serverTree(), '0000:3b:00.0', 'network')).toEqual([
      'block: ens1f0 carries the SSH session from 198.51.100.7 (through bond0, br0), carries the default route to 192.0.2.1 (through bond0, br0), is part of bond0, is part of br0',
    ]);
  });

  test('with a VLAN on it', async () => {
    expect((await checks(amdTree(), '0000:04:00.0', 'network'))[0]).toMatch(
      /^block: .*is part of enp4s0f0\.10/,
    );
  });

  test('with only an address, and without one', async () => {
    const tree = serverTree();
    tree.facts.addresses.ens1f3 = ['203.0.113.9/24'];
    expect(await checks(tree, '0000:3b:00.3', 'network')).toEqual([
      'warn: ens1f3 has the address 203.0.113.9/24',
    ]);
    expect(await checks(serverTree(), '0000:3b:00.3', 'network')).toEqual([
      'ok: ens1f3 has no addresses and nothing depends on it',
    ]);
  });
});

test('a controller with PCI functions below it: their disks count', async () => {
  const tree = desktopTree();
  const vmd = '0000:00:0e.0';
  tree.pci({ address: vmd, id: '8086:467f', class: '010400', group: 5, driver: 'vmd' });
  const disk = `${tree.pathOf(vmd)}/pci10000:e0/10000:e0:00.0/nvme/nvme0/nvme0n1`;
  tree
    .pci({
      address: '10000:e0:00.0',
      parent: vmd,
      id: '144d:a808',
      class: '010802',
      group: 5,
      driver: 'nvme',
    })
    .block('nvme0n1', { directory: disk.replace('/pci10000:e0', ''), number: '259:0' })
    .file('/proc/self/mountinfo', '22 1 259:0 / /srv rw,relatime shared:1 - ext4 /dev/nvme0n1 rw\n');
  expect(await checks(tree, vmd, 'storage')).toEqual([expect.stringMatching(/^block: nvme0n1: .*\/srv/)]);
});

describe('guests', () => {
  test('a physical function whose VFs are in use, one of them in a VM', async () => {
    const plan = await planOf(serverTree(), '0000:3b:00.2');
    expect(standingBlocks(plan, true)).toMatchObject([
      { code: 'sriov', reason: expect.stringContaining('open in qemu-system-x86 (pid 4211)') },
    ]);
  });

  test('processes of other users are not visible', async () => {
    const tree = serverTree().file('/proc/5000/comm', 'secret\n');
    tree.link('/proc/5000/fd/3', '/dev/null');
    Object.assign(tree.facts, { unreadable: { '/proc/5000/fd': 'EACCES' } });
    expect(await checks(tree, '0000:b0:00.0', 'held')).toEqual([
      'warn: cannot see whether another user has it open: run as root',
    ]);
  });
});

describe('device classes', () => {
  test('a bridge is never taken, an SMBus controller only with --force, and an NVMe disk is not memory', async () => {
    const bridge = await planOf(serverTree(), '0000:ae:00.0');
    expect(standingBlocks(bridge, true).map(check => check.code)).toContain('class');
    const smbus = await planOf(serverTree(), '0000:00:1f.4');
    expect(blocks(smbus).map(check => [check.code, check.forceable])).toEqual([['class', true]]);
    expect(await checks(serverTree(), '0000:b0:00.0', 'class')).toEqual([]);
  });
});

describe('what a guest needs', () => {
  test('a way to reset the device', async () => {
    expect(await checks(amdTree(), '0000:01:00.0', 'reset')).toEqual([
      expect.stringMatching(/^warn: the kernel cannot reset it/),
    ]);
    expect(await checks(desktopTree(), '0000:01:00.0', 'reset')).toEqual([
      'warn: only its whole bus can be reset, including every function on it',
    ]);
  });

  test('lockable memory', async () => {
    const tree = serverTree().file('/proc/self/status', 'Name:\tvring\nCapEff:\t0000000000000000\n');
    expect(await checks(tree, '0000:b0:00.0', 'memlock')).toEqual([
      expect.stringMatching(/^warn: a VM must lock all its RAM, but this user may lock only 8 MiB/),
    ]);
  });
});
