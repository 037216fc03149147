import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GRUB_BOOT_SECTOR, grubCore } from './grub-disk.ts';
import { run } from './tools.ts';
import { cacheDirectory } from './workspace.ts';

const RELEASE = 'bookworm';
/**
 * The contents of Debian's cloud image: its kernel for virtual machines, systemd, cloud-init
 * with netplan, an SSH server.
 */
const PACKAGES = [
  ...['linux-image-cloud-amd64', 'initramfs-tools', 'systemd-sysv', 'systemd-resolved', 'dbus', 'udev'],
  ...[
    'cloud-init',
    'netplan.io',
    'cloud-guest-utils',
    'fdisk',
    'e2fsprogs',
    'openssh-server',
    'sudo',
    'iproute2',
  ],
];
/** Files that no test reads. */
const LEFT_OUT = ['man', 'doc', 'locale'].map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`);

const SECTOR = 512;
const MiB = 2 ** 20;
/**
 * In MiB: the partition for GRUB's core, as on any GPT disk, and the root after it, which grows
 * to the end of a larger disk.
 */
const CORE = { start: 1, size: 3 };
const ROOT = { start: 4, size: 1020 };
/** The backup GPT at the end. */
const BACKUP_MIB = 1;
const PARTITIONS = `label: gpt
14 : start=${CORE.start}MiB, size=${CORE.size}MiB, type=21686148-6449-6E6F-744E-656564454649
1 : start=${ROOT.start}MiB, size=${ROOT.size}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
`;
/** Offsets in boot.img of the core's first sector, and in that sector of the second (GRUB's i386/pc/boot.h). */
const KERNEL_SECTOR = 0x5c;
const FIRST_BLOCK_LIST = SECTOR - 12;
/** The partition table that boot.img must not overwrite. */
const CODE = 440;
const LABEL = 'cloudroot';

const FILES: Readonly<Record<string, string>> = {
  'boot/grub/grub.cfg': `
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry 'Debian GNU/Linux' {
  search.fs_label ${LABEL} root
  linux /vmlinuz root=LABEL=${LABEL} ro console=ttyS0,115200 quiet mitigations=off
  initrd /initrd.img
}`,
  'etc/fstab': `LABEL=${LABEL} / ext4 rw,discard,errors=remount-ro 0 1\n`,
  'etc/hostname': 'localhost\n',
  // Each machine generates its own at its first boot.
  'etc/machine-id': '',
};

/**
 * An image like Debian's own cloud image ("genericcloud"), built from its packages: a GPT, GRUB for BIOS, an ext4 root,
 * cloud-init. Building it takes minutes, so it is cached. @returns its qcow2 file
 */
export async function cloudImage(): Promise<string> {
  const recipe = JSON.stringify([RELEASE, PACKAGES, LEFT_OUT, PARTITIONS, FILES]);
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 12);
  const image = join(cacheDirectory, `cloud-${key}.qcow2`);
  if (existsSync(image)) return image;
  await mkdir(cacheDirectory, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'vring-cloud-'));
  try {
    await makeRoot(join(work, 'root'));
    await makeDisk(join(work, 'root'), join(work, 'disk'), work);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(work, 'disk'), `${image}.part`]);
    await rename(`${image}.part`, image);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return image;
}

async function makeRoot(root: string): Promise<void> {
  await run('mmdebstrap', [
    ...['--quiet', '--variant=minbase', '--format=directory', `--include=${PACKAGES.join(',')}`, ...LEFT_OUT],
    // Not enabled by default, but in Debian's images.
    '--customize-hook=chroot "$1" systemctl enable systemd-networkd',
    ...[RELEASE, root],
  ]);
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  for (const name of await readdir(join(root, 'etc/ssh')))
    if (name.startsWith('ssh_host_')) await rm(join(root, 'etc/ssh', name));
}

async function makeDisk(root: string, disk: string, work: string): Promise<void> {
  const size = (ROOT.start + ROOT.size + BACKUP_MIB) * MiB;
  await writeFile(disk, '');
  await truncate(disk, size);
  // The offset is the root partition's.
  await run('mke2fs', [
    ...['-q', '-t', 'ext4', '-L', LABEL, '-O', '^metadata_csum_seed', '-d', root],
    ...['-E', `offset=${ROOT.start * MiB}`, disk, `${ROOT.size}M`],
  ]);
  await run('sfdisk', ['--quiet', disk], { input: PARTITIONS });
  const first = (CORE.start * MiB) / SECTOR;
  const core = await grubCore(work, '(hd0,gpt1)/boot/grub', ['part_gpt']);
  core.writeBigUInt64LE(BigInt(first + 1), FIRST_BLOCK_LIST);
  const sector = await readFile(GRUB_BOOT_SECTOR);
  sector.writeBigUInt64LE(BigInt(first), KERNEL_SECTOR);
  const file = await open(disk, 'r+');
  await file.write(sector, 0, CODE, 0);
  await file.write(core, 0, core.length, first * SECTOR);
  await file.close();
}
