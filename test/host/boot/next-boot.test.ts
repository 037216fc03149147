import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { desiredPath, formatDesired } from '../../../src/host/boot/desired.ts';
import { identify } from '../../../src/host/boot/identity.ts';
import { readNextBoot } from '../../../src/host/boot/next-boot.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { release, type TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';

let tree: TreeBuilder;
beforeEach(() => {
  tree = serverTree();
});
afterEach(() => tree.remove());

function next(address: string) {
  const root = tree.root();
  return readNextBoot(root, readPci(root)).get(address);
}

test('state that is not configured, and that a boot would undo, is drift', () => {
  expect(next('0000:3b:00.2')?.drift).toBe('4 VFs now, 0 after a boot');
  expect(next('0000:3b:0a.0')?.drift).toBe('vfio-pci now, gone after a boot');
  expect(next('0000:3b:00.0')).toBeUndefined();
});

test('ids in modprobe.d apply to every device that has them, and need a load order', () => {
  tree.file('/etc/modprobe.d/vfio.conf', 'options vfio-pci \\\n  ids=8086:1572,144d:a808:144d:a801\n');
  expect(next('0000:3b:00.0')).toMatchObject({
    driver: 'vfio-pci',
    sources: ['/etc/modprobe.d/vfio.conf'],
    problems: ['nothing makes vfio-pci load before i40e: whichever is loaded first gets the device'],
    drift: 'i40e now, vfio-pci after a boot',
  });
  expect(next('0000:b0:00.0')?.driver).toBe('vfio-pci');
  tree.file('/etc/modprobe.d/order.conf', 'softdep i40e pre: vfio-pci\n');
  expect(next('0000:3b:00.0')?.problems).toEqual([]);
});

test('a file in /etc masks the one of the same name in /usr/lib', () => {
  tree.file('/usr/lib/modprobe.d/vfio.conf', 'options vfio-pci ids=8086:1572\n');
  tree.file('/etc/modprobe.d/vfio.conf', '# nothing\n');
  expect(next('0000:3b:00.0')).toBeUndefined();
});

test('a built-in host driver comes before any module', () => {
  tree.file('/etc/modprobe.d/vfio.conf', 'options vfio-pci ids=144d:a808\nsoftdep nvme pre: vfio-pci\n');
  tree.file(`/usr/lib/modules/${release}/modules.builtin`, 'kernel/drivers/nvme/host/nvme.ko\n');
  expect(next('0000:b0:00.0')?.problems).toEqual([
    'nvme is built into this kernel and binds the device before vfio-pci can be loaded',
  ]);
});

test('driverctl and udev rules apply by address; a rule for another card does not', () => {
  tree.file('/etc/driverctl.d/0000:3b:00.3', 'vfio-pci\n');
  tree.file(
    '/etc/udev/rules.d/40-x.rules',
    'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:3b:00.0", ATTR{vendor}=="0x15b3", ATTR{device}=="0x1017", ATTR{driver_override}="vfio-pci"\n' +
      'ACTION=="bind", KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="4"\n',
  );
  expect(next('0000:3b:00.3')?.driver).toBe('vfio-pci');
  expect(next('0000:3b:00.0')).toMatchObject({
    driver: null,
    drift: null,
    problems: [expect.stringContaining('15b3')],
  });
  expect(next('0000:3b:00.2')).toMatchObject({ vfs: 4, drift: null });
});

test('a device other than the stored one is skipped, and both are named', () => {
  const root = tree.root();
  const fn = readPci(root).find(each => each.address === '0000:3b:00.0')!;
  const stored = identify(root, fn);
  expect(stored).toMatchObject({ serial: 'a8-b1-c2-ff-ff-fe-fd-3c', mac: '3c:fd:fe:c2:b1:a8' });
  const identity = { ...stored, serial: '00-00-00-ff-ff-00-00-01' };
  const devices = { '0000:3b:00.0': { driver: 'vfio-pci', identity } };
  tree.file(desiredPath, formatDesired({ version: 1, devices, sriov: {} }));
  const result = next('0000:3b:00.0');
  expect(result?.driver).toBeNull();
  expect(result?.problems[0]).toContain('serial 00-00-00-ff-ff-00-00-01');
  expect(result?.problems[0]).toContain('serial a8-b1-c2-ff-ff-fe-fd-3c');
});

test('a stored VF is found by its index', () => {
  const root = tree.root();
  const fn = readPci(root).find(each => each.address === '0000:3b:00.2')!;
  const sriov = {
    '0000:3b:00.2': { identity: identify(root, fn), count: 4, vfs: { 0: { driver: 'vfio-pci' } } },
  };
  tree.file(desiredPath, formatDesired({ version: 1, devices: {}, sriov }));
  expect(next('0000:3b:0a.0')).toMatchObject({ driver: 'vfio-pci', drift: null });
  expect(next('0000:3b:00.2')).toMatchObject({ vfs: 4, drift: null });
});

test('a VF that will exist, but with a host driver', () => {
  tree.file(
    '/etc/udev/rules.d/40-vfs.rules',
    'ACTION=="bind", KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="1"\n',
  );
  expect(next('0000:3b:0a.0')?.drift).toBe("vfio-pci now, the host's driver after a boot");
  expect(next('0000:3b:00.2')?.drift).toBe('4 VFs now, 1 after a boot');
});

test('an invalid host.json is an error, not an empty desired state', () => {
  tree.file(desiredPath, '{"version":2}');
  expect(() => next('0000:3b:00.0')).toThrow('/etc/vring/host.json is not valid');
});

describe('vfio-pci is loaded before the host driver by', () => {
  const gpu = '0000:01:00.0';
  const vfio = '/etc/modprobe.d/vfio.conf';
  const ids = 'options vfio-pci ids=10de:1e87,10de:10f8\n';

  beforeEach(() => {
    tree.remove();
    tree = desktopTree();
    tree.file(vfio, ids);
  });

  test('nothing by default', () => {
    expect(next(gpu)?.problems).toEqual([
      'nothing makes vfio-pci load before nouveau: whichever is loaded first gets the device',
    ]);
  });

  test.each<[string, Record<string, string>, string[]]>([
    ['a softdep of the driver', { [vfio]: `${ids}softdep nouveau pre: vfio-pci\n` }, [vfio]],
    [
      'a softdep of drm, which the driver needs',
      { '/usr/lib/modprobe.d/a.conf': 'softdep drm pre: vfio-pci\n' },
      ['/usr/lib/modprobe.d/a.conf'],
    ],
    [
      'a softdep of a softdep',
      { '/etc/modprobe.d/a.conf': 'softdep nouveau pre: x\nsoftdep x pre: vfio-pci\n' },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'an install line',
      {
        '/etc/modprobe.d/a.conf':
          'install nouveau /sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install nouveau\n',
      },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'a softdep by a pattern',
      { '/etc/modprobe.d/a.conf': 'softdep nouv* pre: vfio-pci\n' },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'an install line by a pattern',
      { '/etc/modprobe.d/a.conf': 'install nou* /sbin/modprobe vfio-pci; /sbin/modprobe -i $CMDLINE_OPTS\n' },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'a softdep that masks that of the module itself',
      {
        [vfio]: `${ids}softdep nouveau pre: vfio-pci\n`,
        [`/usr/lib/modules/${release}/modules.softdep`]: '# own\nsoftdep nouveau pre: mxm-wmi\n',
      },
      [vfio],
    ],
    [
      'an alias of the device',
      { '/etc/modprobe.d/a.conf': 'alias pci:v000010DEd00001E87sv*sd*bc*sc*i* vfio-pci\n' },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'MODULES of mkinitcpio',
      { '/etc/mkinitcpio.conf': 'MODULES=(vfio_pci vfio)\nHOOKS=(base udev modconf kms)\n' },
      ['/etc/mkinitcpio.conf'],
    ],
    [
      'a softdep, where the initramfs has no graphics drivers',
      {
        '/etc/mkinitcpio.conf': 'MODULES=()\nHOOKS=(base udev modconf)\n',
        '/etc/modprobe.d/a.conf': 'softdep nouveau pre: vfio-pci\n',
      },
      ['/etc/modprobe.d/a.conf'],
    ],
    [
      'MODULES of a drop-in',
      {
        '/etc/mkinitcpio.conf': 'MODULES=()\nHOOKS=(systemd)\n',
        '/etc/mkinitcpio.conf.d/v.conf': 'MODULES+=(vfio_pci)\n',
      },
      ['/etc/mkinitcpio.conf.d/v.conf'],
    ],
    [
      'force_drivers of dracut',
      { '/etc/dracut.conf.d/v.conf': 'force_drivers+=" vfio_pci vfio "\n' },
      ['/etc/dracut.conf.d/v.conf'],
    ],
    [
      'rd.driver.pre',
      { '/proc/cmdline': 'root=/dev/sda2 rd.driver.pre=vfio-pci\n' },
      ['kernel command line'],
    ],
    [
      "initramfs-tools' list, where graphics drivers are not",
      { '/etc/initramfs-tools/modules': '# x\nvfio_pci\n' },
      ['/etc/initramfs-tools/modules'],
    ],
    [
      'the blacklist and a module list',
      {
        '/proc/cmdline': 'root=/dev/sda2 modprobe.blacklist=x,nouveau\n',
        '/etc/modules-load.d/v.conf': 'vfio-pci\n',
      },
      ['kernel command line', '/etc/modules-load.d/v.conf'],
    ],
    [
      'a driver disabled by an install line, and a module list',
      { '/etc/modprobe.d/a.conf': 'install nouveau /bin/false\n', '/etc/modules': 'vfio_pci\n' },
      ['/etc/modprobe.d/a.conf', '/etc/modules'],
    ],
  ])('%s', (_, files, sources) => {
    tree.files(files);
    expect(next(gpu)).toMatchObject({ driver: 'vfio-pci', problems: [] });
    expect(next(gpu)?.sources).toEqual([...new Set([vfio, ...sources])]);
  }); // prettier-ignore

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'the driver comes first in MODULES',
      { '/etc/mkinitcpio.conf': 'MODULES=(nouveau vfio_pci)\n' },
      /^\/etc\/mkinitcpio.conf loads nouveau before vfio-pci/,
    ],
    [
      'the initramfs has no modprobe.d',
      { '/etc/mkinitcpio.conf': 'MODULES=(vfio_pci)\nHOOKS=(base udev)\n' },
      /without the modconf hook/,
    ],
    [
      'the initramfs has the driver, but not vfio-pci',
      {
        [vfio]: `${ids}softdep nouveau pre: vfio-pci\n`,
        '/etc/mkinitcpio.conf': 'MODULES=()\nHOOKS=(base udev modconf kms block)\n',
      },
      /^the kms hook of mkinitcpio loads nouveau in the initramfs, which does not have vfio-pci: add vfio_pci to MODULES/,
    ],
    [
      'another softdep comes first, and modprobe uses that one alone',
      {
        '/usr/lib/modprobe.d/nouveau.conf': 'softdep nouveau post: x\n',
        [vfio]: `${ids}softdep nouveau pre: vfio-pci\n`,
      },
      /^softdep nouveau in \/etc\/modprobe.d\/vfio.conf, line 2 has no effect: .* first one, in \/usr\/lib\/modprobe.d\/nouveau.conf, line 1$/,
    ],
    [
      'only the blacklist',
      { '/etc/modprobe.d/a.conf': 'blacklist nouveau\n' },
      /^\/etc\/modprobe.d\/a.conf keeps nouveau from loading, but nothing loads vfio-pci/,
    ],
    [
      'a module list that is loaded while udev runs',
      { '/etc/modules-load.d/v.conf': '; x\nvfio-pci\n' },
      /^\/etc\/modules-load.d\/v.conf loads vfio-pci while udev loads nouveau/,
    ],
    [
      'add_drivers, which only puts it into the image',
      { '/etc/dracut.conf.d/v.conf': 'add_drivers+=" vfio_pci "\n' },
      /^nothing makes/,
    ],
    [
      'a list with a command substitution',
      { '/etc/mkinitcpio.conf': 'MODULES=($(cat /x))\n' },
      /^not known whether .*mkinitcpio.conf, line 1: a command substitution/,
    ],
    [
      'drm is part of the kernel',
      {
        '/etc/modprobe.d/a.conf': 'softdep drm pre: vfio-pci\n',
        [`/usr/lib/modules/${release}/modules.builtin`]: 'kernel/drivers/gpu/drm/drm.ko\n',
      },
      /^nothing makes/,
    ],
  ])('not by: %s', (_, files, problem) => {
    tree.files(files);
    expect(next(gpu)?.problems).toEqual([expect.stringMatching(problem)]);
  }); // prettier-ignore

  test('the last of several ids= only, with the command line after all files', () => {
    tree.file('/proc/cmdline', 'root=/dev/sda2 vfio-pci.ids=10de:10f8\n');
    expect(next(gpu)).toMatchObject({
      driver: null,
      problems: [`ids= of ${vfio} for 10de:1e87 has no effect: kernel command line sets ids= later`],
    });
    expect(next('0000:01:00.1')?.driver).toBe('vfio-pci');
  });

  test('the blacklist alone if another function of the card loads vfio-pci', () => {
    const file = '/etc/modprobe.d/a.conf';
    tree.file(file, 'blacklist nouveau\nsoftdep snd_hda_intel pre: vfio-pci\n');
    expect(next(gpu)).toMatchObject({ problems: [], sources: [vfio, file] });
  });

  test('something that loads vfio-pci, even for a device without a host driver', () => {
    tree.file(vfio, 'options vfio-pci ids=8086:3ec2\n');
    const problem = 'nothing loads vfio-pci at boot: the device is left without a driver';
    expect(next('0000:00:00.0')?.problems).toEqual([problem]);
    tree.file('/etc/modules-load.d/v.conf', 'vfio-pci\n');
    expect(next('0000:00:00.0')?.problems).toEqual([]);
  });

  test('ids in arguments of the initramfs-tools list', () => {
    tree.file(vfio, '').file('/etc/initramfs-tools/modules', 'vfio\nvfio_pci ids=10de:1e87,10de:10f8\n');
    expect(next(gpu)).toMatchObject({
      driver: 'vfio-pci',
      sources: ['/etc/initramfs-tools/modules'],
      problems: [],
    });
  });

  test('an unknown setting if the entire configuration is generated', () => {
    tree.file('/etc/os-release', 'ID=nixos\n');
    expect(next(gpu)?.problems).toEqual([
      expect.stringMatching(/^not known whether vfio-pci .*: NixOS generates/),
    ]);
  });

  test('dependencies in modules.dep', () => {
    tree.file(
      `/usr/lib/modules/${release}/modules.dep`,
      'kernel/a/snd-hda-intel.ko.zst: kernel/b/snd-hda-core.ko.zst\n',
    );
    tree.file('/etc/modprobe.d/a.conf', 'softdep snd-hda-core pre: vfio-pci\n');
    expect(next('0000:01:00.1')).toMatchObject({ driver: 'vfio-pci', problems: [] });
  });
});

describe('the number of VFs', () => {
  const pf = '0000:3b:00.2';
  const link = '/etc/systemd/network/10-sriov.link';

  test.each([
    ['Path=pci-0000:3b:00.2', '[Link]\nSR-IOVVirtualFunctions=4', { vfs: 4, drift: null, sources: [link] }],
    [
      'Driver=i40e\nPath=pci-0000:3b:*',
      '[Link]\nSR-IOVVirtualFunctions=2',
      { vfs: 2, drift: '4 VFs now, 2 after a boot' },
    ],
    [
      'Path=pci-0000:3b:00.2',
      '[SR-IOV]\nVirtualFunction=0\n[SR-IOV]\nVirtualFunction=3',
      { vfs: 4, drift: null },
    ],
    [
      'Path=!pci-0000:3b:00.2',
      '[Link]\nSR-IOVVirtualFunctions=4',
      { vfs: null, drift: '4 VFs now, 0 after a boot' },
    ],
    ['', '[Link]\nSR-IOVVirtualFunctions=4', { vfs: null, drift: '4 VFs now, 0 after a boot' }],
    [
      'Path=pci-0000:3b:00.2\nHost=x',
      '[Link]\nSR-IOVVirtualFunctions=4',
      {
        vfs: null,
        drift: '4 VFs now, not known after a boot',
        problems: [`not known whether ${link} applies here: it depends on Host=`],
      },
    ],
  ])('of a .link file for %j', (match, settings, expected) => {
    tree.file(link, `[Match]\n${match}\n\n${settings}\n`);
    expect(next(pf)).toMatchObject(expected);
  }); // prettier-ignore

  test('is that of the first .link file that matches, with its drop-ins', () => {
    tree.file(link, '[Match]\nPath=pci-0000:3b:00.2\n[Link]\nSR-IOVVirtualFunctions=2\n');
    tree.file(`${link}.d/more.conf`, '[Link]\nSR-IOVVirtualFunctions=4\n');
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, sources: [`${link}.d/more.conf`] });
    tree.file('/usr/lib/systemd/network/05-name.link', '[Match]\nPath=pci-0000:3b:00.2\n[Link]\nName=lan\n');
    expect(next(pf)?.drift).toBe('4 VFs now, 0 after a boot');
  });

  test('is not known if an earlier .link file with another number, or none, may match', () => {
    const match = '[Match]\nPath=pci-0000:3b:00.2\n';
    const earlier = '/usr/lib/systemd/network/05-name.link';
    tree.file(link, `${match}[Link]\nSR-IOVVirtualFunctions=4\n`);
    for (const settings of ['Name=lan', 'SR-IOVVirtualFunctions=2']) {
      tree.file(earlier, `${match}Host=x\n[Link]\n${settings}\n`);
      expect(next(pf)).toMatchObject({
        vfs: null,
        drift: '4 VFs now, not known after a boot',
        problems: [`not known whether ${earlier} applies here: it depends on Host=`],
      });
    }
    // What the driver does with its option, a .link file may still change.
    tree.file('/etc/modprobe.d/i40e.conf', 'options i40e max_vfs=4,4\n');
    expect(next(pf)).toMatchObject({ vfs: null, drift: '4 VFs now, not known after a boot' });
    tree.removePath('/etc/modprobe.d/i40e.conf');
    tree.file(earlier, `${match}Host=x\n[Link]\nSR-IOVVirtualFunctions=4\n`);
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, problems: [] });
    // A file without a number, before the end of the list, changes nothing if no later file has one.
    tree.removePath(link).file(earlier, `${match}Host=x\n[Link]\nName=lan\n`);
    expect(next(pf)).toMatchObject({ drift: '4 VFs now, 0 after a boot', problems: [] });
  });

  test.each([
    'ACTION=="bind", SUBSYSTEM=="pci", ENV{PCI_SLOT_NAME}=="0000:3b:00.2", ATTR{sriov_numvfs}="4"',
    'ACTION=="add", SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="i40e", KERNELS=="0000:3b:00.2", ATTR{device/sriov_numvfs}="4"',
    'SUBSYSTEM=="pci", ATTR{vendor}=="0x8086", ATTR{device}=="0x1572|0x1583", KERNEL=="0000:3b:00.[23]", ATTR{sriov_numvfs}="4"',
  ])('of the udev rule %s', rule => {
    tree.file('/etc/udev/rules.d/40-x.rules', `${rule}\n`);
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, sources: ['/etc/udev/rules.d/40-x.rules'] });
  });

  test.each([
    ['/etc/tmpfiles.d/vfs.conf', 'w /sys/class/net/ens1f2/device/sriov_numvfs - - - - 4'],
    [
      '/usr/lib/tmpfiles.d/vfs.conf',
      'w+ "/sys/bus/pci/devices/0000:3b:00.[2-3]/sriov_numvfs"  -  -  -  -  4',
    ],
    ['/etc/sysfs.conf', '# x\nbus/pci/devices/0000:3b:00.2/sriov_numvfs = 4'],
    ['/etc/sysfs.d/vfs.conf', 'class/net/ens1f2/device/sriov_numvfs=4'],
  ])('of a value for sysfs in %s', (file, text) => {
    tree.file(file, `${text}\n`);
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, sources: [file], problems: [] });
    tree.file(file, `${text.replaceAll('3b:00.', '3b:01.').replace('ens1f2', 'other')}\n`);
    expect(next(pf)).toMatchObject({ vfs: null, drift: '4 VFs now, 0 after a boot' });
  });

  test('of a udev rule that other rules skip', () => {
    const file = '/etc/udev/rules.d/40-x.rules';
    const rules = (jump: string) =>
      tree.file(
        file,
        `ACTION!="add|bind", GOTO="end"\n${jump}, GOTO="end"\nATTR{sriov_numvfs}="4"\nLABEL="end"\n`,
      );
    rules('KERNEL!="0000:3b:00.2"');
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, sources: [file] });
    expect(next('0000:3b:00.3')).toBeUndefined();
    rules('KERNEL=="0000:3b:00.2"');
    expect(next(pf)).toMatchObject({ vfs: null, drift: '4 VFs now, 0 after a boot' });
    rules('TEST=="/run/no-vfs"');
    expect(next(pf)).toMatchObject({ vfs: null, drift: '4 VFs now, not known after a boot' });
    // The jump over everything but network interfaces: the attribute is that of the interface.
    tree.file(
      file,
      'SUBSYSTEM!="net", GOTO="end"\nKERNEL=="ens1f2", ATTR{device/sriov_numvfs}="4"\nLABEL="end"\n',
    );
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null });
    // A jump ends at its label.
    tree.file(file, 'KERNEL=="0000:3b:00.2", GOTO="end"\nLABEL="end"\nATTR{sriov_numvfs}="4"\n');
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null });
  });

  test('of a udev rule by the name of an interface', () => {
    const name = tree.root().list(`${tree.pathOf(pf)}/net`)?.[0];
    expect(name).toBeDefined();
    const rule = (kernel: string) =>
      tree.file(
        '/etc/udev/rules.d/40-x.rules',
        `SUBSYSTEM=="net", KERNEL=="${kernel}", ATTR{device/sriov_numvfs}="4"\n`,
      );
    rule(name!);
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null });
    rule('other0');
    expect(next(pf)).toMatchObject({ vfs: null, drift: '4 VFs now, 0 after a boot' });
  });

  test.each([
    [
      '/etc/udev/rules.d/40-x.rules',
      'KERNEL=="0000:3b:00.2", PROGRAM=="/bin/x", ATTR{sriov_numvfs}="4"\n',
      'it depends on PROGRAM',
    ],
    [
      '/etc/udev/rules.d/40-x.rules',
      'KERNEL=="0000:3b:00.2", PROGRAM="/bin/x", ATTR{sriov_numvfs}="4"\n',
      'it depends on PROGRAM',
    ],
    [
      '/etc/NetworkManager/dispatcher.d/10-vfs',
      '[ "$1" = ens1f2 ] && echo 4 > /sys/class/net/$1/device/sriov_numvfs\n',
      'vring does not interpret it',
    ],
    [
      '/etc/nmstate/ens1f2.yml',
      '- name: ens1f2\n  ethernet:\n    sr-iov:\n      total-vfs: 4\n',
      'does not interpret',
    ],
    ['/etc/local.d/vfs.start', 'echo 4 > /sys/class/net/ens1f2/device/sriov_numvfs\n', 'does not interpret'],
    [
      '/etc/udev/rules.d/40-x.rules',
      'KERNEL=="0000:3b:00.2", RUN+="/bin/sh -c \'echo 4 > /sys$devpath/sriov_numvfs\'"\n',
      'it runs a command',
    ],
    [
      '/etc/rc.local',
      'echo 4 > /sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs\n',
      'vring does not interpret it',
    ],
    [
      '/etc/systemd/system/vfs.service',
      'ExecStart=/bin/sh -c "echo 4 > /sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs"\n',
      'vring does not interpret it',
    ],
    [
      '/etc/NetworkManager/system-connections/storage.nmconnection',
      '[connection]\ntype=ethernet\n\n[sriov]\ntotal-vfs=4\n',
      'NetworkManager creates',
    ],
    [
      '/etc/NetworkManager/conf.d/vfs.conf',
      '[device-x]\nmatch-device=driver:i40e\nsriov-num-vfs=4\n',
      'NetworkManager creates',
    ],
    ['/etc/sysconfig/network-scripts/ifcfg-x', 'ONBOOT=yes\nSRIOV_TOTAL_VFS=4\n', 'NetworkManager creates'],
  ])('is not known if %s sets it', (file, text, why) => {
    tree.file(file, text);
    // Whatever the driver's option says.
    tree.file('/etc/modprobe.d/i40e.conf', 'options i40e max_vfs=4,4\n');
    expect(next(pf)).toMatchObject({ drift: '4 VFs now, not known after a boot' });
    tree.removePath('/etc/modprobe.d/i40e.conf');
    expect(next(pf)).toMatchObject({ drift: '4 VFs now, not known after a boot' });
    expect(next(pf)?.problems).toEqual([expect.stringContaining(why)]);
    expect(next(pf)?.problems[0]).toContain(file);
    expect(next('0000:3b:0a.0')?.drift).toBe('vfio-pci now, not known after a boot');
  }); // prettier-ignore

  test('of a NetworkManager connection concerns only its interface', () => {
    const file = '/etc/NetworkManager/system-connections/storage.nmconnection';
    const connection = (name: string) =>
      tree.file(file, `[connection]\ninterface-name=${name}\n\n[sriov]\ntotal-vfs=4\n`);
    connection('ens1f2');
    expect(next(pf)).toMatchObject({
      drift: '4 VFs now, not known after a boot',
      problems: [`not known how many VFs NetworkManager creates: ${file} configures them`],
    });
    connection('ens1f0');
    expect(next(pf)).toMatchObject({ drift: '4 VFs now, 0 after a boot', problems: [] });
  });

  test.each(['/etc/NetworkManager/system-connections', '/etc/NetworkManager/NetworkManager.conf'])(
    'is not known if %s cannot be read, unless something else sets it',
    path => {
      tree.facts.unreadable[path] = 'EACCES';
      expect(next(pf)).toMatchObject({
        drift: '4 VFs now, not known after a boot',
        problems: [`not known whether NetworkManager creates VFs: ${path} cannot be read`],
      });
      tree.file('/etc/modprobe.d/i40e.conf', 'options i40e max_vfs=4,4\n');
      expect(next(pf)).toMatchObject({ vfs: 4, drift: null, problems: [] });
    },
  );

  test('of an option of the driver', () => {
    tree.file('/etc/modprobe.d/i40e.conf', 'options i40e max_vfs=4,4\n');
    expect(next(pf)).toMatchObject({ vfs: 4, drift: null, sources: ['/etc/modprobe.d/i40e.conf'] });
  });
});

describe('the driver after a boot', () => {
  const bound = '0000:3b:0a.0';
  const file = '/etc/tmpfiles.d/vfio.conf';
  const spare = '0000:3b:00.3';

  test('of a value for driver_override, which comes after udev', () => {
    tree.file(file, `w /sys/bus/pci/devices/${spare}/driver_override - - - - vfio-pci\n`);
    expect(next(spare)).toMatchObject({
      driver: 'vfio-pci',
      sources: [file],
      problems: [`${file}, line 1 is applied after udev has loaded drivers: one that is bound by then stays`],
    });
  });

  test.each<[string, string, string]>([
    [
      '/etc/modprobe.d/local.conf',
      'install vfio-pci /sbin/vfio-pci-override.sh\n',
      'not known which devices /etc/modprobe.d/local.conf, line 1 binds: it runs a command',
    ],
    [
      '/etc/systemd/system/vfio.service',
      `ExecStart=/bin/sh -c "echo ${bound} > /sys/bus/pci/drivers/vfio-pci/bind"\n`,
      'not known which driver /etc/systemd/system/vfio.service gives it: vring does not interpret it',
    ],
    [
      '/etc/initramfs-tools/scripts/init-top/vfio',
      `echo vfio-pci > /sys/bus/pci/devices/${bound}/driver_override\n`,
      'not known which driver /etc/initramfs-tools/scripts/init-top/vfio gives it: vring does not interpret it',
    ],
  ])('is not known if %s gives it one', (path, text, problem) => {
    tree.file('/etc/udev/rules.d/40-vfs.rules', 'KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="4"\n');
    tree.file(path, text);
    expect(next(bound)).toMatchObject({ driver: null, drift: 'vfio-pci now, not known after a boot' });
    expect(next(bound)?.problems).toEqual([problem]);
    // The host's own devices are not concerned.
    expect(next('0000:b0:00.0')).toBeUndefined();
  });

  test('an install line that only loads the module gives it none', () => {
    tree.file('/etc/udev/rules.d/40-vfs.rules', 'KERNEL=="0000:3b:00.2", ATTR{sriov_numvfs}="4"\n');
    tree.file('/etc/modprobe.d/a.conf', 'install vfio-pci /sbin/modprobe --ignore-install vfio-pci\n');
    expect(next(bound)).toMatchObject({
      drift: "vfio-pci now, the host's driver after a boot",
      problems: [],
    });
  });
});
