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

describe('a device that can be assigned', () => {
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

  test('that is already bound needs no step', async () => {
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

  test('by a named VM', async () => {
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

  test('that is only partly included is not reset', async () => {
    const found = await assessed(amdTree(), ['0000:01:00.0']);
    expect(said(found, 'reset')).toEqual([expect.stringMatching(/^warn: it can be reset only with its bus/)]);
    expect(said(found, 'card')).toEqual([expect.stringMatching(/0000:01:00\.1 \(audio device\)/)]);
  });
});

describe('a virtual function', () => {
  const withPfOn = (driver: string) => {
    const tree = serverTree();
    tree.removePath(`${tree.pathOf('0000:3b:00.2')}/driver`);
    return tree.relativeLink(`${tree.pathOf('0000:3b:00.2')}/driver`, `/sys/bus/pci/drivers/${driver}`);
  };

  test('without a MAC address gets another one at each boot', async () => {
    const tree = serverTree();
    const link = tree.facts.commands['ip -j -d link']!;
    link.stdout = link.stdout.replace('02:00:00:00:00:01', '00:00:00:00:00:00');
    const found = await assessed(tree, ['0000:3b:0a.1']);
    expect(said(found, 'mac')).toEqual([expect.stringMatching(/^warn: it has no MAC address/)]);
    expect(repairOf(found, 'mac')).toContain('now: vring sriov vf 0000:3b:00.2 1 mac=52:54:00:12:34:56');
    expect(said(await assessed(serverTree(), ['0000:3b:0a.1']), 'mac')).toEqual([]);
  });

  test('whose PF belongs to another program through VFIO needs its token', async () => {
    const found = await assessed(withPfOn('vfio-pci'), ['0000:3b:0a.1']);
    expect(said(found, 'sriov')).toEqual([
      expect.stringMatching(/^block: its physical function 0000:3b:00\.2 is bound to vfio-pci/),
    ]);
    expect(repairOf(found, 'sriov')).toEqual([
      'give the PF back to the host: vring vfio unbind 0000:3b:00.2',
      'or have both use the same one: vf-token: UUID',
    ]);
    const vfToken = '4b20d080-1b54-4048-85b3-a6a62d165c01';
    const withToken = (tree: TreeBuilder, address: string) =>
      assessed(tree, [address], { options: { [address]: { vfToken } } });
    expect(said(await withToken(withPfOn('vfio-pci'), '0000:3b:0a.1'), 'sriov')).toEqual([
      'ok: it is opened by the token of 0000:3b:00.2',
    ]);
    expect(said(await withToken(serverTree(), '0000:3b:0a.1'), 'sriov')).toEqual([
      expect.stringMatching(/^block: VFIO accepts no token for it: .* is not bound to vfio-pci/),
    ]);
    expect(said(await withToken(serverTree(), '0000:b0:00.0'), 'sriov')).toEqual([
      'block: it has no virtual functions to share a token with',
    ]);
  });

  test('of an NVMe controller must be online, with queues and interrupts', async () => {
    const [address, pf] = ['0000:b0:00.1', '0000:b0:00.0'];
    const withVf = (secondary: object | null) => {
      const tree = serverTree();
      tree.file(`${tree.pathOf(pf)}/sriov_totalvfs`, '4\n').file(`${tree.pathOf(pf)}/sriov_numvfs`, '1\n');
      tree.pci({
        ...{ address, parent: '0000:ae:01.0', id: '144d:a808', subsystem: '144d:a801', class: '010802' },
        ...{ group: 70, node: 1, physicalFunction: pf, capabilities: [], attributes: {} },
      });
      if (secondary === null) return tree;
      const stdout = JSON.stringify({ 'secondary-controllers': [secondary] });
      tree.facts.commands['nvme list-secondary /dev/nvme1 --output-format=json'] = {
        ...{ exitCode: 0, stdout, stderr: '' },
      };
      return tree;
    };
    const secondary = (state: number, queues: number, interrupts: number) => ({
      'secondary-controller-identifier': 5,
      'primary-controller-identifier': 0,
      'secondary-controller-state': state,
      'virtual-function-number': 1,
      'num-virtual-queues': queues,
      'num-virtual-interrupts': interrupts,
    });
    expect(said(await assessed(withVf(null), [address]), 'sriov')).toEqual([
      expect.stringMatching(/^warn: an NVMe VF works only once/),
    ]);
    expect(said(await assessed(withVf(secondary(1, 2, 1)), [address]), 'sriov')).toEqual([
      'ok: it is online, with 2 queues and 1 interrupt',
    ]);
    const offline = await assessed(withVf(secondary(0, 0, 0)), [address]);
    expect(said(offline, 'sriov')).toEqual([
      'block: it is offline, with 0 queues and 0 interrupts of its PF: its driver in the guest would fail',
    ]);
    expect(repairOf(offline, 'sriov')).toEqual([
      'assign queues: nvme virt-mgmt /dev/nvme1 -c 5 -r 0 -a 8 -n 2',
      'assign interrupts: nvme virt-mgmt /dev/nvme1 -c 5 -r 1 -a 8 -n 1',
      'bring it online: nvme virt-mgmt /dev/nvme1 -c 5 -a 9',
    ]);
  });

  test('gets a MAC address and a VLAN; other functions cannot', async () => {
    const address = '0000:3b:0a.1';
    const given = await assessed(serverTree(), [address], {
      options: { [address]: { mac: '52:54:00:00:00:01' } },
    });
    expect(said(given, 'mac')).toEqual(['ok: it gets the MAC address 52:54:00:00:00:01']);
    const disk = '0000:b0:00.0';
    const other = await assessed(serverTree(), [disk], {
      options: { [disk]: { mac: '52:54:00:00:00:01', vlan: 3, spoofCheck: false } },
    });
    expect(said(other, 'mac')).toEqual([
      'block: its MAC address cannot be set: it is not a virtual function',
      'block: its VLAN cannot be set: it is not a virtual function',
      'block: its check of MAC addresses cannot be set: it is not a virtual function',
    ]);
  });

  test('is removed with the driver of its PF, which is passed itself', async () => {
    const found = await assessed(serverTree(), ['0000:3b:00.2']);
    expect(said(found, 'sriov')).toEqual([expect.stringMatching(/^block: unbinding removes its 4 VFs/)]);
    expect(repairOf(found, 'sriov')).toContain('vring sriov set 0000:3b:00.2 0');
  });
});

describe('memory', () => {
  const limited = (bytes: string) =>
    serverTree().files({
      '/proc/self/status': 'Name:\tvring\nUid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\n',
      '/proc/self/limits': `Max locked memory         65536              ${bytes}              bytes     \n`,
    });

  test('that may not be locked', async () => {
    const found = await assessed(limited('8388608'), ['0000:b0:00.0'], { vm });
    expect(found.possible).toBe(false);
    expect(said(found, 'memlock')).toEqual([
      'block: web must lock 1024 MiB, but this user may lock 8 MiB (RLIMIT_MEMLOCK)',
    ]);
    expect(repairOf(found, 'memlock')[0]).toContain('memlock 1048576');
    expect((await assessed(limited('1073741824'), ['0000:b0:00.0'], { vm })).possible).toBe(true);
  });

  test('that the host does not have', async () => {
    const large = await assessed(serverTree(), ['0000:b0:00.0'], { vm: { ...vm, memoryBytes: 100 * GiB } });
    expect(said(large, 'memory')).toEqual([
      expect.stringMatching(/^block: web has 102400 MiB, all of which is pinned/),
    ]);
    const huge = await assessed(serverTree(), ['0000:b0:00.0'], { vm: { ...vm, hugepageBytes: 2 ** 21 } });
    expect(repairOf(huge, 'hugepages')).toEqual([
      'echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
    ]);
  });

  test('in more mappings than the container may have', async () => {
    const tree = serverTree().module('vfio_iommu_type1', { dma_entry_limit: '8' });
    expect(said(await assessed(tree, ['0000:b0:00.0']), 'mappings')).toHaveLength(1);
  });

  test('that the firmware reserves', async () => {
    const tree = serverTree().file(
      '/sys/kernel/iommu_groups/63/reserved_regions',
      '0x00000000bdf6f000 0x00000000bdf7efff direct\n0x00000000fee00000 0x00000000feefffff msi\n',
    );
    const found = await assessed(tree, ['0000:b0:00.0']);
    expect(said(found, 'reserved')).toEqual([
      expect.stringMatching(
        /^block: the firmware itself uses memory through group 63 \(0xbdf6f000-0xbdf7efff/,
      ),
    ]);
  });
});

test('memory that the IOMMU cannot map, where the VM would have RAM', async () => {
  const regions = (start: string, end: string) =>
    serverTree().file('/sys/kernel/iommu_groups/63/reserved_regions', `${start} ${end} reserved\n`);
  const reasons = async (tree: TreeBuilder, memoryBytes: number, firmware: boolean) =>
    said(await assessed(tree, ['0000:b0:00.0'], { vm: { ...vm, memoryBytes, firmware } }), 'reserved');
  const above4 = regions('0x0000000130000000', '0x00000001300fffff');
  // With firmware, 3 GiB of RAM are 2 GiB, and 1 GiB from 4 GiB on.
  expect(await reasons(above4, 3 * GiB, false)).toEqual([]);
  expect(await reasons(above4, 3 * GiB, true)).toEqual([
    'block: the IOMMU cannot map 0x130000000-0x1300fffff, where the VM would have memory',
  ]);
  const below3 = regions('0x00000000a0000000', '0x00000000a00fffff');
  expect(await reasons(below3, 3 * GiB, false)).toHaveLength(1);
  expect(await reasons(below3, 3 * GiB, true)).toEqual([]);
  const around1 = regions('0x000000003ff00000', '0x0000000040000000');
  expect(await reasons(around1, 1 * GiB, false)).toHaveLength(1);
});

test('a kernel that has only iommufd, and one that has neither interface', async () => {
  const release = '6.12.0-test';
  const kernel = (options: string, modules: string) =>
    serverTree().files({
      [`/boot/config-${release}`]: options,
      [`/usr/lib/modules/${release}/modules.dep`]: modules,
    });
  const config = 'CONFIG_VFIO=m\nCONFIG_VFIO_PCI=m\nCONFIG_IOMMUFD=m\nCONFIG_VFIO_DEVICE_CDEV=y\n';
  const tree = kernel(config, 'kernel/vfio-pci.ko:\nkernel/iommufd.ko:\n').module('iommufd');
  tree.facts.nodes.length = 0;
  const found = await assessed(tree, ['0000:b0:00.0']);
  expect(found.api).toBe('iommufd');
  const forced = await assessed(tree, ['0000:b0:00.0'], { iommufd: false });
  expect(said(forced, 'api')).toEqual([
    'block: a VFIO group was asked for (iommufd: false), but this kernel has no VFIO groups (CONFIG_VFIO_GROUP is not set)',
  ]);
});
