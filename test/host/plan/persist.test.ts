import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readDesired } from '../../../src/host/boot/desired.ts';
import { readNextBoot } from '../../../src/host/boot/next-boot.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import { planBind } from '../../../src/host/plan/bind.ts';
import { initramfsCommand } from '../../../src/host/plan/persist/initramfs.ts';
import { unitText } from '../../../src/host/plan/persist/systemd-unit.ts';
import type { Plan } from '../../../src/host/plan/plan.ts';
import { restoreHost } from '../../../src/host/plan/restore.ts';
import { type HostSurvey, readSurvey } from '../../../src/host/plan/survey.ts';
import { planUnbind } from '../../../src/host/plan/unbind.ts';
import { planVfAttributes } from '../../../src/host/plan/vf-attributes.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import { release, TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';
import { expectRollback } from './faults.ts';
import { SimulatedHost } from './simulated-host.ts';

const spareNvme = '0000:b0:00.0';
const gpu = '0000:01:00.0';
const pf = '0000:3b:00.3';
const modprobeFile = '/etc/modprobe.d/vring-vfio.conf';

const bind = (survey: HostSurvey, address: string, wholeGroup = false): Plan =>
  planBind(survey, { addresses: [address], driver: 'vfio-pci', wholeGroup, persist: true });

const withSystemd = async (host: SimulatedHost): Promise<void> => {
  host.tree
    .file('/usr/bin/systemctl', '')
    .file('/etc/systemd/system/multi-user.target.wants/ssh.service', '')
    .file('/etc/modprobe.d/other.conf', '');
  if (host.root.exists('/usr/sbin/update-initramfs'))
    await host.run(['/usr/sbin/update-initramfs', '-u', '-k', 'all']);
};

const withUdev = (host: SimulatedHost): void => {
  host.tree.file('/etc/udev/rules.d/70-other.rules', '');
};

describe('a persistent binding', () => {
  let host: SimulatedHost;
  afterEach(() => host.dispose());

  const apply = async (makePlan: (survey: HostSurvey) => Plan) => {
    const outcome = await applyPlan(host, makePlan(await readSurvey(host.root)));
    expect(outcome.problem).toBeNull();
  };
  const nextBoot = (address: string) => readNextBoot(host.root, readPci(host.root)).get(address);

  test('claims devices with unique ids before host drivers load', async () => {
    host = new SimulatedHost(desktopTree());
    await withSystemd(host);
    await apply(survey => bind(survey, gpu, true));
    const lines = host.root
      .text(modprobeFile)!
      .split('\n')
      .filter(line => line && !line.startsWith('#'));
    expect(lines).toEqual([
      'options vfio-pci ids=10de:1e87,10de:10f8,10de:1ad8,10de:1ad9',
      'softdep nouveau pre: vfio-pci',
      'softdep snd_hda_intel pre: vfio-pci',
      'softdep xhci_pci pre: vfio-pci',
      'softdep i2c_nvidia_gpu pre: vfio-pci',
    ]);
    expect(host.log.slice(-2)).toEqual([
      '/usr/bin/systemctl enable vring-host.service',
      '/usr/sbin/update-initramfs -u -k all',
    ]);
    expect(host.root.text('/etc/systemd/system/vring-host.service')).toMatch(
      /^ExecStart=\/.*\/bin\/vring host restore$/m,
    );
    expect(nextBoot(gpu)).toMatchObject({ driver: 'vfio-pci', drift: null, problems: [] });
  });

  test('keeps soft dependencies that its own would mask, and handles one that masks its own', async () => {
    host = new SimulatedHost(desktopTree());
    await withSystemd(host);
    host.tree
      .file('/usr/lib/modprobe.d/nouveau.conf', 'softdep nouveau post: nouveau-extras\n')
      .file('/usr/lib/modprobe.d/z.conf', 'softdep snd_hda_* pre: snd-early post: snd-late\n')
      .file(`/usr/lib/modules/${release}/modules.softdep`, 'softdep xhci_pci pre: xhci-pci-renesas\n');
    await apply(survey => bind(survey, gpu, true));
    const lines = host.root
      .text(modprobeFile)!
      .split('\n')
      .filter(line => /^(softdep|alias)/.test(line));
    expect(lines).toEqual([
      'softdep snd_hda_intel pre: vfio-pci snd_early post: snd_late',
      'softdep xhci_pci pre: vfio-pci xhci_pci_renesas',
      'softdep i2c_nvidia_gpu pre: vfio-pci',
      expect.stringMatching(/^alias pci:v000010DEd00001E87sv\S+ vfio-pci$/),
    ]);
    expect(nextBoot(gpu)).toMatchObject({ driver: 'vfio-pci', drift: null, problems: [] });
  });

  test('uses address and serial number if an identical device stays with the host', async () => {
    host = new SimulatedHost(serverTree());
    await withSystemd(host);
    await apply(survey => bind(survey, spareNvme));
    expect(host.root.text(modprobeFile)).toBeNull();
    expect(readDesired(host.root).devices).toEqual({
      [spareNvme]: {
        driver: 'vfio-pci',
        identity: expect.objectContaining({ vendor: '144d', device: 'a808', serial: 'S4EVNX0M100001' }),
      },
    });
    expect(nextBoot(spareNvme)).toMatchObject({ driver: 'vfio-pci', drift: null, problems: [] });
  });

  test('is applied by udev on a host without systemd', async () => {
    host = new SimulatedHost(serverTree());
    await apply(survey => bind(survey, spareNvme));
    expect(host.root.text('/etc/udev/rules.d/90-vring-host.rules')).toContain(
      'KERNEL=="0000:b0:00.0", ATTR{vendor}=="0x144d", ATTR{device}=="0xa808", ATTR{driver_override}="vfio-pci"',
    );
    expect(nextBoot(spareNvme)).toMatchObject({ driver: 'vfio-pci', drift: null, problems: [] });
  });

  test('is removed with all its files when the device is returned with --persist', async () => {
    host = new SimulatedHost(desktopTree());
    await withSystemd(host);
    await apply(survey => bind(survey, gpu, true));
    await apply(survey =>
      planUnbind(survey, { addresses: [gpu], wholeGroup: true, driver: null, persist: true }),
    );
    expect(host.root.list('/etc/modprobe.d')).toEqual(['other.conf']);
    expect(host.root.exists('/etc/vring')).toBe(false);
    expect(host.root.list('/etc/systemd/system')).toEqual(['multi-user.target.wants']);
    expect(nextBoot(gpu)?.drift ?? null).toBeNull();
  });
});

describe('the stored configuration', () => {
  const trees: TreeBuilder[] = [];
  afterEach(() => {
    for (const tree of trees.splice(0)) tree.remove();
  });

  const planned = async (files: Record<string, string>) => {
    const tree = desktopTree().files({ '/usr/bin/systemctl': '', ...files });
    trees.push(tree);
    const plan = bind(await readSurvey(tree.root()), gpu, true);
    return {
      checks: plan.checks.filter(check => check.code === 'boot'),
      notes: plan.notes,
      commands: plan.steps.flatMap(({ action }) => (action.kind === 'run' ? [action.argv.join(' ')] : [])),
    };
  };
  const arch = { '/usr/sbin/update-initramfs': '' };
  const disk = '22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n';

  test.each([
    ['NixOS', { '/etc/os-release': 'ID=nixos\n' }, /^NixOS generates .* leave out --persist$/],
    [
      'a root file system that is read-only',
      { '/proc/self/mountinfo': '22 1 8:1 / / ro - ext4 /dev/sda1 ro\n' },
      /not there at the next boot: \/ is mounted read-only; leave it out/,
    ],
    [
      'one in memory',
      { '/proc/self/mountinfo': '1 1 0:2 / / rw - rootfs rootfs rw\n' },
      /: \/ is in memory \(rootfs\)/,
    ],
  ])('is refused on %s', async (_, files, reason) => {
    const { checks } = await planned(files);
    expect(checks).toMatchObject([
      { level: 'block', forceable: false, reason: expect.stringMatching(reason) },
    ]);
    expect((await planned({ '/proc/self/mountinfo': disk })).checks).toEqual([]);
  });

  test('takes effect too late for a graphics driver that mkinitcpio puts into the initramfs', async () => {
    const config = (modules: string) => ({
      '/etc/mkinitcpio.conf': `MODULES=(${modules})\nHOOKS=(base udev modconf kms)\n`,
    });
    expect((await planned(config(''))).notes).toContain(
      `the kms hook of mkinitcpio loads the driver of ${gpu} in the initramfs: add vfio_pci to MODULES in /etc/mkinitcpio.conf before the next boot`,
    );
    expect((await planned(config('vfio_pci'))).notes).toEqual([]);
  });

  test('needs something that applies it', async () => {
    const tree = desktopTree();
    trees.push(tree);
    const { checks } = bind(await readSurvey(tree.root()), gpu, true);
    expect(checks.filter(check => check.code === 'boot')).toMatchObject([{ level: 'warn' }]);
  });

  test.each<[string, Record<string, string>, string]>([
    ['Debian', arch, '/usr/sbin/update-initramfs -u -k all'],
    [
      'MicroOS',
      {
        '/usr/sbin/transactional-update': '',
        '/usr/bin/dracut': '',
        '/proc/self/mountinfo':
          '60 1 0:38 /@ / ro shared:1 - btrfs /dev/sda3 rw\n61 60 0:52 / /etc rw - overlay overlay rw,upperdir=/var/x\n',
      },
      '/usr/sbin/transactional-update initrd',
    ],
  ])('is copied into the initramfs of every kernel on %s', async (_, files, command) => {
    expect((await planned(files)).commands.at(-1)).toBe(command);
  });

  test.each<[string, Record<string, string>, string | null]>([
    [
      'mkinitcpio',
      { '/usr/bin/mkinitcpio': '', '/etc/mkinitcpio.d/linux.preset': '' },
      '/usr/bin/mkinitcpio -P',
    ],
    [
      'mkinitcpio that kernel-install calls',
      { '/usr/bin/mkinitcpio': '', '/usr/bin/kernel-install': '' },
      '/usr/bin/kernel-install add-all',
    ],
    [
      'mkinitcpio that limine-entry-tool calls',
      { '/usr/bin/mkinitcpio': '', '/usr/bin/limine-mkinitcpio': '' },
      '/usr/bin/limine-mkinitcpio',
    ],
    ['booster', { '/usr/lib/booster/regenerate_images': '' }, '/usr/lib/booster/regenerate_images'],
    ['mkinitfs', { '/sbin/mkinitfs': '' }, '/sbin/mkinitfs'],
    ['none', {}, null],
  ])('the program that builds the initramfs: %s', (_, files, command) => {
    const tree = new TreeBuilder().files(files);
    trees.push(tree);
    expect(initramfsCommand(tree.root())?.join(' ') ?? null).toBe(command);
  });
});

test('the unit quotes the path of the program as systemd does', () => {
  expect(unitText('/opt/100% a\\b/bin/vring')).toContain(
    '\nExecStart="/opt/100%% a\\\\b/bin/vring" host restore\n',
  );
});

describe('a failure of any step', () => {
  test('of a persistent binding leaves the host and its configuration unchanged', async () => {
    await expectRollback(desktopTree, survey => bind(survey, gpu, true), withSystemd);
    await expectRollback(serverTree, survey => bind(survey, spareNvme), withUdev);
  });

  test('of its removal leaves both unchanged, too', async () => {
    await expectRollback(
      desktopTree,
      survey => planUnbind(survey, { addresses: [gpu], wholeGroup: true, driver: null, persist: true }),
      async host => {
        await withSystemd(host);
        await applyPlan(host, bind(await readSurvey(host.root), gpu, true));
      },
    );
  });
});

describe('the next boot', () => {
  let host: SimulatedHost;
  beforeEach(async () => {
    host = new SimulatedHost(serverTree());
    await withSystemd(host);
    host.sriov.writeLinks([...host.sriov.links(), { ifname: 'ens1f3' }]);
  });
  afterEach(() => host.dispose());

  /** As after a boot: no VFs, every device with its own driver. */
  const boot = () => {
    host.pci.unbind(spareNvme);
    host.pci.setOverride(spareNvme, '\n');
    host.pci.bind('nvme', spareNvme);
    host.sriov.setCount(host.pci.directory(pf), '0');
  };
  const store = async () => {
    const apply = async (makePlan: (survey: HostSurvey) => Plan) =>
      expect((await applyPlan(host, makePlan(await readSurvey(host.root)))).problem).toBeNull();
    await apply(survey => bind(survey, spareNvme));
    await apply(survey => planVfCount(survey, { address: pf, count: 2, persist: true }));
    await apply(survey =>
      planVfAttributes(survey, {
        address: pf,
        index: 1,
        settings: { mac: '02:00:00:00:00:77', vlan: 7, trust: true },
        persist: true,
      }),
    );
    await apply(survey => bind(survey, '0000:3b:0e.1'));
  };

  test('restores devices, VFs, their settings and their drivers', async () => {
    await store();
    boot();
    const items = await restoreHost(host);
    expect(items.map(item => [item.address, item.state])).toEqual([
      [spareNvme, 'restored'],
      [pf, 'restored'],
      ['0000:3b:0e.1', 'restored'],
      ['0000:3b:0e.1', 'restored'],
    ]);
    expect([spareNvme, '0000:3b:0e.0', '0000:3b:0e.1'].map(each => host.pci.driverOf(each))).toEqual([
      'vfio-pci',
      null,
      'vfio-pci',
    ]);
    const survey = await readSurvey(host.root);
    expect(survey.physicalFunctions.get(pf)!.vfs[1]!.attributes).toMatchObject({
      mac: '02:00:00:00:00:77',
      vlan: 7,
      trust: true,
    });
    expect((await restoreHost(host)).map(item => item.state)).toEqual(items.map(() => 'unchanged'));
  });

  test('skips another device at the stored address, and names both', async () => {
    await store();
    boot();
    host.tree.file(`${host.pci.directory(spareNvme)}/nvme/nvme1/serial`, 'OTHER\n');
    const [item] = await restoreHost(host);
    expect(item!.state).toBe('refused');
    expect(item!.text).toMatch(
      /stored for Samsung.*serial S4EVNX0M100001, but found Samsung.*serial OTHER: skipped/,
    );
    expect(host.pci.driverOf(spareNvme)).toBe('nvme');
  });

  test('does not take a disk that is mounted', async () => {
    await store();
    boot();
    host.tree.file('/proc/self/mountinfo', '40 22 259:3 / /data rw shared:3 - xfs /dev/nvme1n1 rw\n');
    const [item] = await restoreHost(host);
    expect(item).toMatchObject({ state: 'refused', text: expect.stringContaining('mounted on /data') });
  });
});
