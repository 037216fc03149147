import { expect, test } from 'vitest';
import { bootOption, bootTree, debianGrub, loaderVariable, ukiImage } from '../../trees/boot.ts';
import type { TreeBuilder } from '../../trees/builder.ts';
import { edits, notGrub, nothing, plan, refusal, wanted } from '../parameter-plans.ts';

const systemdBoot = loaderVariable('LoaderInfo', 'systemd-boot 255');

test('Pop!_OS: kernelstub writes the entries from its own list', () => {
  const entry = '/boot/efi/loader/entries/Pop_OS-current.conf';
  const host = (options: string) =>
    bootTree(
      'ubuntu',
      {
        '/usr/bin/kernelstub': '',
        '/etc/kernelstub/configuration': '{}',
        [entry]: `title Pop!_OS\nlinux /EFI/Pop_OS-1/vmlinuz.efi\noptions root=UUID=1 ${options}\n`,
        '/boot/efi/loader/entries/Pop_OS-oldkern.conf':
          'title Pop!_OS\nlinux /EFI/Pop_OS-1/vmlinuz-previous.efi\noptions root=UUID=1 quiet\n',
        ...systemdBoot,
      },
      'initrd=\\EFI\\Pop_OS-1\\initrd.img root=UUID=1 ro quiet\n',
    );
  expect(plan(host(`quiet ${wanted}`))).toEqual(nothing);
  expect(edits(host('quiet intel_iommu=off'))).toMatchObject({
    files: [],
    commands: [
      {
        argv: ['/usr/bin/kernelstub', '-d', 'intel_iommu=off'],
        undo: ['/usr/bin/kernelstub', '-a', 'intel_iommu=off'],
      },
      {
        argv: ['/usr/bin/kernelstub', '-a', 'intel_iommu=on iommu=pt'],
        undo: ['/usr/bin/kernelstub', '-d', 'intel_iommu=on iommu=pt'],
        result: { kind: 'file', path: entry, has: ['intel_iommu=on', 'iommu=pt'] },
      },
    ],
  });
});

const popWithGrub = debianGrub('GRUB_CMDLINE_LINUX=""\n', {
  '/usr/bin/kernelstub': '',
  '/etc/kernelstub/configuration': '{}',
});
test('kernelstub does not matter where GRUB booted the host', () => {
  expect(plan(popWithGrub).commands).toEqual(['/usr/sbin/update-grub']);
});

const limine = {
  '/etc/default/limine': 'KERNEL_CMDLINE[default]+="quiet"\n',
  '/boot/limine.conf': 'timeout: 5\n',
};
const entries = { '/boot/loader/entries/a.conf': 'linux /vmlinuz\noptions root=/dev/sda2\n' };

test.each<[string, TreeBuilder, string]>([
  [
    'clr-boot-manager, with entries',
    bootTree('arch', { '/usr/bin/clr-boot-manager': '', ...entries, ...systemdBoot }, notGrub),
    '/etc/kernel/cmdline.d/iommu.conf, then run clr-boot-manager update',
  ],
  [
    'limine-entry-tool',
    bootTree('arch', limine, notGrub),
    'KERNEL_CMDLINE[default] in /etc/default/limine, then run limine-update',
  ],
  [
    'limine-entry-tool, with unified images',
    bootTree(
      'arch',
      {
        ...limine,
        '/usr/bin/mkinitcpio': '',
        '/boot/EFI/Linux/a.efi': ukiImage('root=/dev/sda2'),
        ...loaderVariable('LoaderInfo', 'Limine 9.3.0'),
        ...loaderVariable('StubInfo', 'systemd-stub 257'),
      },
      notGrub,
    ),
    'then run limine-update',
  ],
  [
    'update-extlinux of Alpine',
    bootTree(
      'debian',
      { '/etc/update-extlinux.conf': 'default_kernel_opts="quiet"\n', '/boot/extlinux.conf': '' },
      'BOOT_IMAGE=vmlinuz-lts root=UUID=1\n',
    ),
    'default_kernel_opts in /etc/update-extlinux.conf, then run update-extlinux',
  ],
  [
    'ZFSBootMenu, as its project builds it',
    bootTree('arch', bootOption('\\EFI\\ZBM\\VMLINUZ.EFI'), 'root=zfs:zroot/ROOT/void\n'),
    'org.zfsbootmenu:commandline',
  ],
  [
    'Flatcar',
    bootTree('debian', { '/oem/grub.cfg': '' }, 'BOOT_IMAGE=/flatcar/vmlinuz-a root=LABEL=ROOT\n'),
    'linux_append in /oem/grub.cfg',
  ],
])('%s: the files that it generates are not edited', (_, tree, step) => {
  expect(refusal(tree)).toContain('; manual step: ');
  expect(refusal(tree)).toContain(step);
});

test('limine-entry-tool does not matter where systemd-boot booted the host', () => {
  const tree = bootTree('arch', { ...limine, ...entries, ...systemdBoot }, notGrub);
  expect(Object.keys(plan(tree).files)).toEqual(['/boot/loader/entries/a.conf']);
});
