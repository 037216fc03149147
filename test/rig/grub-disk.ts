import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { debianFile, debianProgram } from '../support/debian-package.ts';
import { bootDiskOf, PARTITION } from './boot-disk.ts';
import type { Kernel } from './debian-kernel.ts';
import { busyboxApplets, initramfs } from './initramfs.ts';
import { resolveModules } from './kernel-modules.ts';
import { BUSYBOX, run } from './tools.ts';

/** The size of the root, in MiB. */
const ROOT_SIZE = 63;
const LABEL = 'debian';
export const GRUB_BOOT_SECTOR = '/usr/lib/grub/i386-pc/boot.img';

/** Drivers for every bus that the disk may be on, and for a screen. */
const MODULES = [
  ...['virtio_blk', 'virtio_scsi', 'ata_piix', 'ahci', 'sd_mod', 'nvme', 'crc32c_generic'],
  ...['ext4', 'virtio_gpu'],
];
const GRUB_MODULES = [
  'biosdisk',
  'ext2',
  'normal',
  'linux',
  'serial',
  'terminal',
  'search_label',
  'configfile',
];

/** Debian's GRUB for UEFI, with all modules built in, and the folder that it reads on the EFI system partition. */
const EFI_GRUB = 'usr/lib/grub/x86_64-efi/monolithic/grubx64.efi';
const EFI_FOLDER = 'EFI/debian';
/** MiB. */
const EFI_SIZE = 8;

const ENTRY = `
set timeout=1
menuentry 'Debian GNU/Linux' {
  search.fs_label ${LABEL} root
  linux /boot/vmlinuz root=LABEL=${LABEL} console=ttyS0 loglevel=3 mitigations=off
  initrd /boot/initrd.img
}`;
const MENU = `
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
${ENTRY}`;

/**
 * On a passwordless root login, prints where and how the system was booted. Provides one command that prints which of a
 * TPM's registers for firmware (0), for the programs that it starts (4), and for what GRUB does (8) are nonzero, and
 * one that fills the screen with the color 0x151515.
 */
const PROFILE = `
disk=$(basename $(findfs LABEL=${LABEL}))
controller=$(readlink -f /sys/class/block/$disk | grep -o '/pci0000:00/[^/]*')
echo "on $disk of $(basename $(readlink -f /sys/devices$controller/driver))"
measured() { cd /sys/class/tpm/tpm0/pcr-sha256 && echo measured $(grep -Lx '0*' 0 4 8); }
draw() { tr '\\0' '\\25' </dev/zero >/dev/fb0; echo drawn on $(cat /proc/fb); }
`;

const SYSTEM: Readonly<Record<string, string>> = {
  'boot/grub/grub.cfg': MENU,
  'etc/inittab':
    '::sysinit:/bin/hostname -F /etc/hostname\nttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100\n',
  'etc/hostname': 'debian\n',
  'etc/passwd': 'root::0:0:root:/:/bin/sh\n',
  'etc/group': 'root:x:0:\n',
  'etc/profile': PROFILE,
};

/**
 * Makes the image of a disk on which Debian's GRUB, for BIOS or UEFI, boots Debian's kernel to a login prompt on COM1.
 */
export async function makeGrubDisk(kernel: Kernel, image: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'vring-grub-'));
  try {
    const root = join(work, 'root');
    for (const directory of ['bin', 'boot/grub', 'dev', 'etc', 'proc', 'sys', 'tmp'])
      await mkdir(join(root, directory), { recursive: true });
    for (const [path, text] of Object.entries(SYSTEM)) await writeFile(join(root, path), text);
    await symlink('bin', join(root, 'sbin'));
    await copyFile(BUSYBOX, join(root, 'bin/busybox'));
    for (const applet of await busyboxApplets()) await symlink('busybox', join(root, 'bin', applet));
    await copyFile(kernel.bzImage, join(root, 'boot/vmlinuz'));
    const modules = await resolveModules(kernel, MODULES);
    const initrd = await initramfs(join(import.meta.dirname, 'image/disk-init.sh'), modules);
    await writeFile(join(root, 'boot/initrd.img'), gzipSync(initrd));

    const core = await grubCore(work, '(hd0,msdos1)/boot/grub', ['part_msdos']);
    const system = join(work, 'system');
    await run('mke2fs', [
      ...['-q', '-t', 'ext4', '-L', LABEL, '-O', '^has_journal,^metadata_csum_seed', '-d', root],
      ...[system, `${ROOT_SIZE}M`],
    ]);
    const efi = await efiSystemPartition(work);
    await writeFile(
      image,
      bootDiskOf(await readFile(GRUB_BOOT_SECTOR), core, [
        { type: PARTITION.linux, content: await readFile(system) },
        { type: PARTITION.efiSystem, content: await readFile(efi) },
      ]),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Makes the image of a partition where firmware finds GRUB at the path for removable media. @returns its file */
async function efiSystemPartition(work: string): Promise<string> {
  const [image, menu] = [join(work, 'efi'), join(work, 'grub.cfg')];
  const mtools = await debianProgram('mtools', 'mtools');
  // UEFI's console is already on COM1.
  await writeFile(menu, ENTRY);
  await run(mtools, ['-c', 'mformat', '-i', image, '-C', '-T', String((EFI_SIZE * 2 ** 20) / 512), '::']);
  await run(mtools, ['-c', 'mmd', '-i', image, '::EFI', '::EFI/BOOT', `::${EFI_FOLDER}`]);
  const grub = await debianFile('grub-efi-amd64-bin', EFI_GRUB);
  await run(mtools, ['-c', 'mcopy', '-i', image, grub, '::EFI/BOOT/BOOTX64.EFI']);
  await run(mtools, ['-c', 'mcopy', '-i', image, menu, `::${EFI_FOLDER}/grub.cfg`]);
  return image;
}

/**
 * GRUB for BIOS, which follows its boot sector. @param work a folder for its files. @param prefix where its menu is.
 * @param partitions modules that read the partition table
 */
export async function grubCore(work: string, prefix: string, partitions: readonly string[]): Promise<Buffer> {
  const core = join(work, 'core');
  await run('grub-mkimage', ['-O', 'i386-pc', '-o', core, '-p', prefix, ...partitions, ...GRUB_MODULES]);
  return await readFile(core);
}
