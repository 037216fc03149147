import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianFile } from '../support/debian-package.ts';
import { run } from './tools.ts';

const IMAGES = 'usr/lib/debian-installer/images/12/amd64/text';

/** Makes a CD image of Debian 12's network installer: ISOLINUX, its menu, kernel and initial root. */
export async function makeInstallerCd(image: string): Promise<void> {
  const installer = await debianFile('debian-installer-12-netboot-amd64', IMAGES);
  const isolinux = await debianFile('isolinux', 'usr/lib/ISOLINUX/isolinux.bin');
  const root = await mkdtemp(join(tmpdir(), 'vring-cd-'));
  try {
    const screens = join(installer, 'debian-installer/amd64/boot-screens');
    for (const name of ['linux', 'initrd.gz', 'boot-screens'])
      await cp(join(installer, 'debian-installer/amd64', name), join(root, 'debian-installer/amd64', name), {
        recursive: true,
      });
    await cp(isolinux, join(root, 'isolinux.bin'));
    await cp(join(screens, 'ldlinux.c32'), join(root, 'ldlinux.c32'));
    await cp(join(screens, 'syslinux.cfg'), join(root, 'isolinux.cfg'));
    await run('genisoimage', [
      ...['-quiet', '-r', '-J', '-V', 'Debian 12 netboot', '-o', image],
      ...[
        '-b',
        'isolinux.bin',
        '-c',
        'boot.cat',
        '-no-emul-boot',
        '-boot-load-size',
        '4',
        '-boot-info-table',
      ],
      root,
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
