import { afterAll, describe, expect, test } from 'vitest';
import { assess } from '../../../src/host/passthrough/assess.ts';
import type { PassthroughRequest, ReasonCode } from '../../../src/host/passthrough/assessment.ts';
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

const GiB = 2 ** 30;
const vm = { name: 'web', memoryBytes: GiB, vcpus: 2, hostCpus: null, state: 'stopped' } as const;

async function assessed(tree: TreeBuilder, addresses: string[], more: Partial<PassthroughRequest> = {}) {
  trees.push(tree);
  return assess(await readSurvey(tree.root()), { addresses, ...more });
}

type Assessed = Awaited<ReturnType<typeof assessed>>;

/** The reasons of one kind, as `level: reason`. */
function said(assessment: Assessed, code: ReasonCode): string[] {
  return [...assessment.reasons, ...assessment.devices.flatMap(device => device.reasons)]
    .filter(reason => reason.code === code)
    .map(({ level, reason }) => `${level}: ${reason}`);
}

function repairOf(assessment: Assessed, code: ReasonCode): readonly string[] {
  return [...assessment.reasons, ...assessment.devices.flatMap(device => device.reasons)]
    .filter(reason => reason.code === code)
    .flatMap(({ repair }) => repair);
}

describe('a device that can be passed', () => {
  test('is bound by the plan', async () => {
    const found = await assessed(serverTree(), ['0000:b0:00.0'], { vm });
    expect(found).toMatchObject({ possible: true, unsafe: false });
    expect(found.devices[0]).toMatchObject({
      possible: true,
      api: 'group',
      iommuGroup: 63,
      members: [],
      numaNode: 1,
    });
    expect(found.plan.devices).toMatchObject([{ address: '0000:b0:00.0', becomes: 'vfio-pci' }]);
    expect(found.plan.steps.length).toBeGreaterThan(0);
    expect(found.losses.map(({ what }) => what)).toContain('live migration');
    expect(found.memory).toMatchObject({ bytes: GiB });
  });

  test('that is bound already needs no step', async () => {
    const tree = serverTree();
    tree.removePath('/proc/4211');
    const found = await assessed(tree, ['0000:3b:0a.0'], { vm });
    expect(found).toMatchObject({ possible: true, plan: { steps: [] } });
    expect(said(found, 'held')).toEqual(['ok: not open in any process']);
  });
});

describe('the host', () => {
  test('has no IOMMU', async () => {
    const found = await assessed(noIommuTree(), ['0000:01:00.0']);
    expect(found).toMatchObject({ possible: false, unsafe: false });
    expect(said(found, 'iommu')).toEqual(['block: the firmware describes no IOMMU; the IOMMU is off']);
    expect(repairOf(found, 'iommu')).toEqual([expect.stringMatching(/^enable VT-d in the firmware setup/)]);
  });

  test('is used without an IOMMU only if both the host and the request say so', async () => {
    const off = await assessed(noIommuTree(), ['0000:01:00.0'], { unsafeNoIommu: true });
    expect(off.possible).toBe(false);
    expect(repairOf(off, 'iommu')).toContain(
      'echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode',
    );
    const tree = () => noIommuTree().module('vfio', { enable_unsafe_noiommu_mode: 'Y' });
    expect((await assessed(tree(), ['0000:01:00.0'])).possible).toBe(false);
    const on = await assessed(tree(), ['0000:01:00.0'], { unsafeNoIommu: true });
    expect(on).toMatchObject({ possible: true, unsafe: true, devices: [{ api: 'group' }] });
    expect(said(on, 'iommu')).toEqual([expect.stringMatching(/^warn: UNSAFE: /)]);
  });

  test('has no interrupt remapping', async () => {
    const tree = () =>
      serverTree().file('/proc/interrupts', ' 24:  7  1  PCI-MSIX-0000:3b:00.0  0-edge  x\n');
    const found = await assessed(tree(), ['0000:b0:00.0']);
    expect(found.possible).toBe(false);
    expect(said(found, 'interrupts')).toEqual([expect.stringMatching(/^block: interrupt remapping is off/)]);
    const allowed = tree().module('vfio_iommu_type1', { allow_unsafe_interrupts: 'Y' });
    const unsafe = await assessed(allowed, ['0000:b0:00.0']);
    expect(unsafe.possible).toBe(true);
    expect(said(unsafe, 'interrupts')).toEqual([expect.stringMatching(/^warn: UNSAFE: /)]);
  });
});

describe('a device in use', () => {
  test('by a VM', async () => {
    const found = await assessed(serverTree(), ['0000:3b:0a.0']);
    expect(said(found, 'held')).toEqual([expect.stringMatching(/^block: qemu-system-x86 \(pid 4211\)/)]);
  });

  test('by a VM that has a name', async () => {
    const qemu = serverTree().file(
      '/proc/4211/cmdline',
      '/usr/bin/qemu-system-x86_64\0-name\0guest=db,debug-threads=on\0',
    );
    expect(said(await assessed(qemu, ['0000:3b:0a.0']), 'held')).toEqual([
      expect.stringMatching(/^block: VM db of qemu-system-x86 \(pid 4211\) has it open/),
    ]);
    const own = () =>
      serverTree().files({
        '/proc/4211/comm': 'vring: database\n',
        '/proc/4211/cmdline': 'vring: database-2\0\0',
      });
    const other = await assessed(own(), ['0000:3b:0a.0'], { vm });
    expect(said(other, 'held')).toEqual([
      expect.stringMatching(/^block: VM database-2 \(pid 4211\) has it open/),
    ]);
    expect(repairOf(other, 'held')).toEqual(['vring vm stop database-2']);
    const same = await assessed(own(), ['0000:3b:0a.0'], { vm: { ...vm, name: 'database-2' } });
    expect(said(same, 'held')).toEqual(['ok: the VM has it already']);
    expect(same.possible).toBe(true);
  });

  test('by the host itself: its disk and its network', async () => {
    const disk = await assessed(serverTree(), ['0000:af:00.0']);
    expect(repairOf(disk, 'storage')[0]).toBe('the host runs from it: pass another disk');
    const nic = await assessed(desktopTree(), ['0000:00:1f.6']);
    expect(nic.possible).toBe(false);
    expect(repairOf(nic, 'network')[0]).toBe('move the default route from enp0s31f6 to another interface');
  });

  test('by another VM, now or later', async () => {
    const claims = [{ address: '0000:b0:00.0', vm: 'db', running: true }];
    const running = await assessed(serverTree(), ['0000:b0:00.0'], { vm, claims });
    expect(running.possible).toBe(false);
    expect(said(running, 'vm')).toEqual(['block: the VM db has it']);
    const stopped = await assessed(serverTree(), ['0000:b0:00.0'], {
      vm,
      claims: [{ ...claims[0]!, running: false }],
    });
    expect(stopped.possible).toBe(true);
    const own = await assessed(serverTree(), ['0000:b0:00.0'], { vm: { ...vm, name: 'db' }, claims });
    expect(said(own, 'vm')).toEqual([]);
  });
});

describe('a graphics card', () => {
  test('brings its other functions along, which reset with it', async () => {
    const found = await assessed(desktopTree(), ['0000:01:00.0']);
    expect(found.possible).toBe(true);
    expect(found.devices[0]!.members.map(({ address, role }) => [address, role])).toEqual([
      ['0000:00:01.0', 'bridge'],
      ['0000:01:00.1', 'group'],
      ['0000:01:00.2', 'group'],
      ['0000:01:00.3', 'group'],
    ]);
    expect(said(found, 'reset')).toEqual([
      'ok: it can be reset with its bus, together with 0000:01:00.1, 0000:01:00.2 and 0000:01:00.3',
    ]);
    expect(repairOf(found, 'audio')).toEqual(['pass 0000:01:00.1 too']);
  });

  test('of which only a part comes along is not reset', async () => {
    const found = await assessed(amdTree(), ['0000:01:00.0']);
    expect(said(found, 'reset')).toEqual([expect.stringMatching(/^warn: it can be reset only with its bus/)]);
    expect(said(found, 'card')).toEqual([expect.stringMatching(/0000:01:00\.1 \(audio device\)/)]);
  });
});
