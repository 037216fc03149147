import fs from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { kernelParameterEdits, withParameters } from '../../../src/host/boot/parameters.ts';
import { amdTree } from '../trees/amd.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';

let tree: TreeBuilder | null = null;
afterEach(() => tree?.remove());

function kept(made: TreeBuilder): TreeBuilder {
  tree = made;
  return made;
}

function written(made: TreeBuilder, ...added: string[]): Record<string, string> {
  const { files } = kernelParameterEdits(kept(made).root(), added);
  return Object.fromEntries(files.map(file => [file.path, file.after]));
}

test('a word of the same key gives way, an equal one stays where it is', () => {
  expect(withParameters(['intel_iommu=off', 'quiet', 'iommu=pt'], ['intel_iommu=on', 'iommu=pt'])).toEqual([
    'quiet',
    'iommu=pt',
    'intel_iommu=on',
  ]);
  expect(withParameters(['vfio-pci.ids=1:2'], ['vfio_pci.ids=3:4'])).toEqual(['vfio_pci.ids=3:4']);
});

test('/etc/default/grub keeps everything else, and what speaks against it is removed', () => {
  const made = desktopTree();
  made.file(
    '/etc/default/grub',
    '# mine\nGRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off splash"\nGRUB_CMDLINE_LINUX=console=ttyS0\nGRUB_TIMEOUT=5\n',
  );
  expect(written(made, 'intel_iommu=on')).toEqual({
    '/etc/default/grub':
      '# mine\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\nGRUB_CMDLINE_LINUX="console=ttyS0 intel_iommu=on"\nGRUB_TIMEOUT=5\n',
  });
});

test('a file without the variable gets one', () => {
  const made = desktopTree();
  made.file('/etc/default/grub', 'GRUB_TIMEOUT=5');
  expect(written(made, 'iommu=pt')).toEqual({
    '/etc/default/grub': 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="iommu=pt"\n',
  });
});

test('nothing to do when it is there', () => {
  const made = desktopTree();
  made.file('/etc/default/grub', 'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt"\n');
  expect(kernelParameterEdits(kept(made).root(), ['intel_iommu=on', 'iommu=pt'])).toMatchObject({
    files: [],
    commands: [],
  });
});

test('GRUB 0.97: each kernel line, nothing else', () => {
  expect(written(noIommuTree(), 'intel_iommu=on')['/boot/grub/grub.conf']).toBe(
    'default=0\ntimeout=5\ntitle CentOS (2.6.32)\n\troot (hd0,0)\n' +
      '\tkernel /vmlinuz-2.6.32 ro root=/dev/sda1 crashkernel=auto intel_iommu=on\n\tinitrd /initramfs-2.6.32.img\n',
  );
});

test('systemd-boot: every entry, and the line for later kernels', () => {
  const files = written(amdTree(), 'amd_iommu=on');
  expect(files['/boot/loader/entries/fedora-6.12.conf']).toContain('rootflags=subvol=root amd_iommu=on\n');
  expect(files['/boot/loader/entries/fedora-rescue.conf']).toContain('ro amd_iommu=on\n');
  expect(files['/etc/kernel/cmdline']).toBe(
    'root=/dev/mapper/luks-root ro rootflags=subvol=root amd_iommu=on\n',
  );
});

test('grub2-mkconfig writes where this host reads', () => {
  const made = desktopTree();
  fs.rmSync(made.at('/usr/sbin/update-grub'));
  made.file('/usr/sbin/grub2-mkconfig', '').file('/boot/grub2/grub.cfg', 'menuentry\n');
  made.file('/boot/efi/EFI/ubuntu/grub.cfg', 'configfile $prefix/grub.cfg\n');
  const edits = kernelParameterEdits(kept(made).root(), ['iommu=pt']);
  expect(edits.commands).toEqual([['/usr/sbin/grub2-mkconfig', '-o', '/boot/grub2/grub.cfg']]);
  expect(edits.undoCommands).toEqual(edits.commands);
});

test('grubby adds what is not there, and undo takes no more away', () => {
  const made = serverTree();
  made.file('/proc/cmdline', 'root=/dev/sda1 iommu=pt\n');
  expect(kernelParameterEdits(kept(made).root(), ['intel_iommu=on', 'iommu=pt'])).toMatchObject({
    files: [],
    commands: [['/usr/sbin/grubby', '--update-kernel=ALL', '--args=intel_iommu=on']],
    undoCommands: [['/usr/sbin/grubby', '--update-kernel=ALL', '--remove-args=intel_iommu=on']],
  });
});
