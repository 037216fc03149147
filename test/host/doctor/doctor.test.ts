import fs, { globSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { diagnose } from '../../../src/host/doctor/doctor.ts';
import { iommuParameters } from '../../../src/host/doctor/iommu.ts';
import { amdTree } from '../trees/amd.ts';
import { release, TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { dmarTable, serverTree } from '../trees/server.ts';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

function doctor(tree: TreeBuilder) {
  trees.push(tree);
  const { findings } = diagnose(tree.root());
  return (id: string) => findings.find(finding => finding.id === id);
}

/** The same host with the IOMMU switched off. */
function withoutIommu(tree: TreeBuilder): TreeBuilder {
  fs.rmSync(tree.at('/sys/class/iommu'), { recursive: true, force: true });
  fs.rmSync(tree.at('/sys/kernel/iommu_groups'), { recursive: true, force: true });
  tree.file('/proc/cmdline', 'root=/dev/sda1 ro quiet\n');
  return tree;
}

test('a complete host needs no fix', () => {
  const finding = doctor(serverTree());
  for (const id of ['processor.virtualization', 'kvm.device', 'iommu.enabled', 'iommu.interrupt-remapping']) {
    expect(finding(id)).toMatchObject({ state: 'ok', repair: [] });
  }
});

test('the KVM modules are shown with the parameters that affect guests', () => {
  expect(doctor(serverTree())('kvm.module')?.title).toBe('kvm, kvm_intel (ept=Y)');
  expect(doctor(noIommuTree())('kvm.module')).toBeUndefined();
});

test('the fix for an IOMMU that is off is vring iommu enable', () => {
  const repair = (tree: TreeBuilder) => doctor(withoutIommu(tree))('iommu.enabled')?.repair;
  const old = noIommuTree().file('/sys/firmware/acpi/tables/DMAR', dmarTable(false));
  for (const tree of [serverTree(), desktopTree(), amdTree(), old]) {
    expect(repair(tree)).toEqual(['vring iommu enable', 'reboot']);
  }
});

test('an edit without a regenerated grub.cfg is reported; a reboot alone is enough only if the boot loader has the parameters', () => {
  const tree = withoutIommu(desktopTree());
  tree.file('/etc/default/grub', 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n');
  tree.file('/boot/grub/grub.cfg', "menuentry 'A' {\n\tlinux /vmlinuz root=/dev/sda2 ro\n}\n");
  expect(doctor(tree)('iommu.enabled')).toMatchObject({
    title:
      'the IOMMU is off: /etc/default/grub already has the parameters, but /boot/grub/grub.cfg has not been regenerated since',
    repair: ['vring iommu enable', 'reboot'],
  });
  tree.file(
    '/boot/grub/grub.cfg',
    "menuentry 'A' {\n\tlinux /vmlinuz root=/dev/sda2 intel_iommu=on iommu=pt\n}\n",
  );
  expect(doctor(tree)('iommu.enabled')).toMatchObject({
    title: 'the IOMMU is off; it is configured for the next boot',
    repair: ['reboot'],
  });
  tree.file('/proc/cmdline', 'BOOT_IMAGE=/vmlinuz root=/dev/sda2 intel_iommu=on iommu=pt\n');
  expect(doctor(tree)('iommu.enabled')?.repair).toEqual([
    'dmesg | grep -e DMAR -e AMD-Vi -e IOMMU shows why',
  ]);
});

test('an unknown boot loader: the manual step', () => {
  const tree = withoutIommu(desktopTree());
  fs.rmSync(tree.at('/etc/default/grub'));
  expect(doctor(tree)('iommu.enabled')?.repair[0]).toContain('manual step: add "intel_iommu=on iommu=pt"');
});

test('a firmware without an IOMMU is reported before everything else', () => {
  const finding = doctor(noIommuTree());
  expect(finding('iommu.firmware')).toMatchObject({ state: 'fail' });
  expect(finding('iommu.enabled')).toMatchObject({ state: 'fail', repair: ['fix iommu.firmware first'] });
  expect(finding('kernel.intel-iommu')?.state).toBe('fail');
  expect(finding('kernel.amd-iommu')).toBeUndefined();
  expect(finding('processor.nested-paging')?.state).toBe('warn');
});

test('settings that weaken isolation are warnings', () => {
  const tree = desktopTree({ acsOverride: true });
  tree.module('vfio_iommu_type1', { allow_unsafe_interrupts: 'Y' });
  tree.module('vfio', { enable_unsafe_noiommu_mode: 'Y' });
  tree.file('/proc/interrupts', '      CPU0\n 30:  5  PCI-MSI-0000:00:1f.6  0-edge  eth0\n');
  tree.file('/sys/firmware/acpi/tables/DMAR', dmarTable(false));
  const finding = doctor(tree);
  for (const id of [
    'iommu.acs-override',
    'iommu.unsafe-interrupts',
    'vfio.noiommu',
    'iommu.interrupt-remapping',
  ]) {
    expect(finding(id)?.state).toBe('warn');
  }
  expect(finding('iommu.interrupt-remapping')?.title).toBe(
    'this chipset does not support interrupt remapping',
  );
});

test('/proc/config.gz takes precedence over the file in /boot', () => {
  const tree = serverTree();
  tree.file('/proc/config.gz', gzipSync('CONFIG_VFIO=y\n# CONFIG_HUGETLBFS is not set\n'));
  const finding = doctor(tree);
  expect(finding('kernel.vfio')?.title).toBe('CONFIG_VFIO: built in');
  expect(finding('kernel.hugetlbfs')?.state).toBe('warn');
  tree.file('/proc/config.gz', 'no gzip');
  expect(doctor(tree)('kernel.hugetlbfs')?.state).toBe('ok');
});

test('a missing kernel configuration is reported once', () => {
  const tree = serverTree();
  fs.rmSync(tree.at(`/boot/config-${release}`));
  expect(doctor(tree)('kernel.config')?.state).toBe('info');
});

test('a limit on locked memory matters only without CAP_IPC_LOCK', () => {
  const tree = serverTree();
  expect(doctor(tree)('memory.memlock')?.state).toBe('ok');
  tree.file('/proc/self/status', 'CapEff:\t0000000000000000\n');
  expect(doctor(tree)('memory.memlock')).toMatchObject({
    state: 'warn',
    title: 'this user may lock 8 MiB (RLIMIT_MEMLOCK)',
  });
});

test('missing packages are named as this distribution names them', () => {
  expect(doctor(desktopTree())('software.qemu-img')?.repair).toEqual(['apt install qemu-utils']);
  expect(doctor(serverTree())('software.qemu-img')?.repair).toEqual(['dnf install qemu-img']);
  expect(doctor(noIommuTree())('software.qemu-img')?.repair).toEqual(['yum install qemu-img']);
});

test('one of several programs is enough', () => {
  const tree = desktopTree();
  expect(doctor(tree)('software.seed-image')?.state).toBe('warn');
  tree.file('/usr/bin/mkisofs', '');
  expect(doctor(tree)('software.seed-image')?.title).toContain('/usr/bin/mkisofs');
});

test('only what vring runs or reads is recommended', () => {
  const source = (pattern: string) =>
    globSync('src/**/*.{ts,tsx}', { exclude: ['src/host/doctor/**'] }).filter(file =>
      fs.readFileSync(file, 'utf8').includes(pattern),
    );
  const uses = {
    'software.pci-ids': 'pci.ids',
    'software.iproute2': "'ip',",
    'software.qemu-img': "'qemu-img'",
  };
  const { findings } = diagnose(desktopTree().root());
  const recommended = findings.filter(finding => finding.area === 'software').map(finding => finding.id);
  expect(recommended.sort()).toEqual([...Object.keys(uses), 'software.seed-image'].sort());
  for (const text of [...Object.values(uses), "'xorriso'", "'genisoimage'"])
    expect(source(text)).not.toEqual([]);
});

test('the hard limit counts, because any process may raise its own up to it', () => {
  const tree = serverTree().files({
    '/proc/self/status': 'Name:\tvring\nCapEff:\t0000000000000000\n',
    '/proc/self/limits': 'Max locked memory         8388608              unlimited            bytes     \n',
  });
  expect(doctor(tree)('memory.memlock')?.state).toBe('ok');
});

test('files of bound devices that this user may not open are named', () => {
  expect(doctor(serverTree())('vfio.nodes')).toMatchObject({ state: 'ok' });
  const denied = serverTree().node('/dev/vfio/85', 85, { usable: false });
  expect(doctor(denied)('vfio.nodes')).toMatchObject({
    state: 'warn',
    title: 'this user may not open /dev/vfio/85',
    repair: [expect.stringContaining('SUBSYSTEM=="vfio"')],
  });
  expect(doctor(noIommuTree())('vfio.nodes')).toBeUndefined();
});

test("the firmware's table decides which IOMMU is enabled: a virtual machine may have another vendor's", () => {
  const parameters = (table: string | null, vendor: 'intel' | 'amd' | 'other') => {
    const tree = new TreeBuilder();
    trees.push(tree);
    if (table !== null) tree.file(`/sys/firmware/acpi/tables/${table}`, Buffer.alloc(48));
    return iommuParameters(tree.root(), { vendor });
  };
  const intel = { add: ['intel_iommu=on', 'iommu=pt'], remove: [] };
  const amd = { add: ['iommu=pt'], remove: ['amd_iommu=off'] };
  expect(parameters('DMAR', 'amd')).toEqual(intel);
  expect(parameters('IVRS', 'intel')).toEqual(amd);
  expect(parameters(null, 'amd')).toEqual(amd);
  expect(parameters(null, 'other')).toEqual(intel);
});
