import { expect, test } from 'vitest';
import { debianGrub } from '../../trees/boot.ts';
import { refusal } from '../parameter-plans.ts';

const defaults = 'GRUB_CMDLINE_LINUX=""\n';

test.each<[string, Record<string, string>, string]>([
  ['NixOS', { '/etc/os-release': 'ID=nixos\n' }, 'boot.kernelParams = [ "intel_iommu=on" "iommu=pt" ];'],
  [
    'Guix',
    { '/etc/os-release': 'ID=guix\n' },
    '(cons* "intel_iommu=on" "iommu=pt" %default-kernel-arguments)',
  ],
  ['Talos', { '/etc/os-release': 'ID=talos\n' }, 'machine.install.extraKernelArgs'],
  ['VyOS', { '/etc/os-release': 'ID=vyos\n' }, 'set system option kernel'],
  [
    'TrueNAS',
    { '/usr/bin/midclt': '' },
    `midclt call system.advanced.update '{"kernel_extra_options":"intel_iommu=on iommu=pt"}'`,
  ],
  ['Xen', { '/proc/xen/capabilities': 'control_d\n' }, 'boot the kernel without Xen'],
  [
    'Debian Live',
    { '/proc/cmdline': 'BOOT_IMAGE=/live/vmlinuz boot=live components\n' },
    'boot menu of the medium',
  ],
  [
    'Fedora Live',
    { '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz root=live:CDLABEL=F rd.live.image\n' },
    'boot menu',
  ],
])('%s is not edited, although /etc/default/grub exists', (_, files, step) => {
  const message = refusal(debianGrub(defaults, files));
  expect(message).toContain('; manual step: ');
  expect(message).toContain(step);
});
