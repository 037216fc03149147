import { expect, test } from 'vitest';
import { filterRecorded, mayRecord } from '../../src/host/record-filters.ts';
import { ukiImage } from './trees/boot.ts';

function filtered(path: string, text: string): string {
  return filterRecorded(path, Buffer.from(text)).toString('utf8');
}

test('secrets in kernel parameters are masked in all files', () => {
  const paths = [
    '/proc/cmdline',
    '/etc/kernel/cmdline',
    '/etc/cmdline.d/root.conf',
    '/etc/default/grub',
    '/etc/default/grub.d/50-cloud.cfg',
    '/boot/grub2/grub.cfg',
    '/boot/grub/grubenv',
    '/boot/loader/entries/a.conf',
  ];
  for (const path of paths) {
    const result = filtered(path, 'quiet rd.luks.key=/secret rd.iscsi.password="a b" ro\n');
    expect({ path, result }).toEqual({ path, result: 'quiet rd.luks.key=*** rd.iscsi.password=*** ro\n' });
  }
});

test('masking keeps offsets in a unified kernel image', () => {
  const image = ukiImage('root=/dev/sda2 rd.luks.key=/secret quiet');
  const result = filterRecorded('/efi/EFI/Linux/arch.efi', image);
  expect(result.length).toBe(image.length);
  expect(result.includes('/secret')).toBe(false);
  expect(result.includes('rd.luks.key=******* quiet')).toBe(true);
});

test('dependencies of modules are kept by name', () => {
  const text =
    'kernel/drivers/gpu/drm/nouveau/nouveau.ko.zst: kernel/drivers/gpu/drm/drm.ko.zst kernel/a/b.ko.zst\n';
  expect(filtered('/lib/modules/6.12/modules.dep', text)).toBe('nouveau.ko.zst: drm.ko.zst b.ko.zst\n');
});

test('of scripts and values for sysfs only what concerns devices is kept', () => {
  const script =
    '#!/bin/sh\nTOKEN=hunter2 curl https://example.com\necho 4 > /sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs\n';
  expect(filtered('/etc/cron.d/vfs', script)).toBe('sriov_numvfs\n0000:3b:00.2\n');
  expect(filtered('/etc/init.d/other', 'PASSWORD=hunter2\n')).toBe('');
  const values =
    'f /etc/secret 0600 root root - hunter2\n# w /sys/x/sriov_numvfs - - - - 1\nw /sys/class/net/eth0/device/sriov_numvfs - - - - 4\n';
  expect(filtered('/etc/tmpfiles.d/a.conf', values)).toBe(
    'w /sys/class/net/eth0/device/sriov_numvfs - - - - 4\n',
  );
});

test.each([
  ['/etc/mkinitcpio.conf', true],
  ['/etc/mkinitcpio.d/linux.preset', true],
  ['/etc/systemd/network/10-a.link', true],
  ['/etc/sysconfig/bootloader', true],
  ['/run/ostree-booted', true],
  ['/etc/netplan/01.yaml', true],
  ['/etc/netplan/01.yaml.save', false],
  ['/etc/systemd/system/a.service', true],
  ['/etc/systemd/system', false],
  ['/etc/systemd/system/multi-user.target.wants/vring-host.service', true],
  ['/etc/NetworkManager/system-connections/a', true],
  ['/etc/NetworkManager/dispatcher.d/a', true],
  ['/etc/NetworkManager/dispatcher.d/a/b', false],
  ['/etc/NetworkManager/certs/a', false],
  ['/etc/tmpfiles.d/vfs.conf', true],
  ['/etc/sysfs.conf', true],
  ['/etc/cron.d/vfs', true],
  ['/etc/crontab', false],
  ['/etc/shadow', false],
])('%s may be recorded: %s', (path, may) => {
  expect(mayRecord(path)).toBe(may);
});
