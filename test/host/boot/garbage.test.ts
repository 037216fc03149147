import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kernelParameterEdits } from '../../../src/host/boot/kernel-parameters.ts';
import { readNextBoot } from '../../../src/host/boot/next-boot.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { debianGrub } from '../trees/boot.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { serverTree } from '../trees/server.ts';

/** Files that the prediction of the next boot reads, each by another parser. */
const files = [
  '/etc/modprobe.d/x.conf',
  '/etc/modules-load.d/x.conf',
  '/etc/udev/rules.d/x.rules',
  '/etc/systemd/network/x.link',
  '/etc/tmpfiles.d/x.conf',
  '/etc/sysfs.conf',
  '/etc/mkinitcpio.conf',
  '/etc/dracut.conf.d/x.conf',
  '/etc/booster.yaml',
  '/etc/initramfs-tools/modules',
  '/etc/driverctl.d/0000:3b:00.1',
];
/** Those that only matter for the number of VFs. */
const networkFiles = ['/etc/NetworkManager/system-connections/x', '/etc/rc.local', '/etc/cron.d/x'];

/** Bound to vfio-pci with nothing that keeps it so: everything that cannot be read matters for it. */
const vf = '0000:3b:0a.0';

let tree: TreeBuilder;
beforeEach(() => {
  tree = serverTree();
});
afterEach(() => tree.remove());

function next(address: string) {
  const root = tree.root();
  return readNextBoot(root, readPci(root)).get(address);
}

describe('an unreadable file is named, and does not affect the rest:', () => {
  test.each(files.flatMap(file => ['EACCES', 'EIO'].map(code => [file, code] as const)))(
    '%s: %s',
    (file, code) => {
      tree.file(file, '').facts.unreadable[file] = code;
      expect(next(vf)?.problems).toContain(`not known what ${file} sets: it cannot be read`);
      // Not of functions that nothing is known of.
      expect(next('0000:b0:00.0')).toBeUndefined();
    },
  );

  test.each([...files, ...networkFiles])('%s: a link loop, a directory', file => {
    tree.link(file, file.split('/').at(-1)!);
    expect(() => next(vf)).not.toThrow();
    tree.removePath(file).file(`${file}/x`, '');
    expect(() => next(vf)).not.toThrow();
  });

  test('a directory: only root may list cron jobs on many hosts', () => {
    tree.file('/etc/cron.d/x', '').facts.unreadable['/etc/cron.d'] = 'EACCES';
    expect(next('0000:3b:00.2')).toMatchObject({
      drift: '4 VFs now, not known after a boot',
      problems: ['not known whether /etc/cron.d creates VFs: it cannot be read'],
    });
    expect(next('0000:3b:00.3')).toBeUndefined();
  });
});

describe('a megabyte of garbage is read to its end:', () => {
  const size = 1 << 20;
  const fillers: readonly (readonly [string, string])[] = [
    ['line breaks', '\n'.repeat(size)],
    ['blanks', ' '.repeat(size)],
    ['one word', 'A'.repeat(size)],
    ['a long rule', `driver_override ${'A'.repeat(size)}`],
    ['braces', `sriov_numvfs ${'A{'.repeat(size / 2)}`],
    ['quotes', '"'.repeat(size)],
    ['continued lines', '\\\n'.repeat(size / 2)],
    ['parameters', 'a=b '.repeat(size / 4)],
    [
      'bytes',
      Buffer.alloc(size, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))).toString('latin1'),
    ],
  ];

  test.each(fillers)('%s', (_, text) => {
    for (const file of [...files, ...networkFiles]) tree.file(file, text);
    expect(() => next(vf)).not.toThrow();
  });

  test.each(fillers)('%s, in what the boot loader reads', (_, text) => {
    const host = debianGrub(text, { '/boot/grub/grub.cfg': text, '/etc/default/grub.d/a.cfg': text });
    const request = { add: ['iommu=pt'], remove: [] };
    let message = '';
    try {
      kernelParameterEdits(host.root(), request);
    } catch (error) {
      ({ message } = error as Error);
    }
    host.remove();
    // Either an edit, or the manual step.
    expect(message).toMatch(/^$|; manual step: /);
  });
});

test('a device whose config space cannot be read is listed, and not assumed to respond', () => {
  tree.facts.unreadable[`${tree.pathOf('0000:b0:00.0')}/config`] = 'EIO';
  const fn = readPci(tree.root()).find(each => each.address === '0000:b0:00.0');
  expect(fn).toMatchObject({ driver: 'nvme', configAccess: 'none', capabilities: [] });
});

test('missing names are not an error', () => {
  tree.facts.unreadable['/usr/share/misc/pci.ids'] = 'EIO';
  expect(readPci(tree.root())[0]?.names.vendor).toBeNull();
});
