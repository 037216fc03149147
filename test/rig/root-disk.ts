import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { debianFile } from '../support/debian-package.ts';
import { cloudImage } from './cloud-image.ts';
import type { Kernel } from './debian-kernel.ts';
import { makeGrubDisk } from './grub-disk.ts';
import { busyboxApplets, initramfs } from './initramfs.ts';
import { makeInstallerCd } from './installer-cd.ts';
import { iommufdModules } from './iommufd-modules.ts';
import { installModules, resolveModules } from './kernel-modules.ts';
import { BUSYBOX, librariesOf, run } from './tools.ts';
import { repository } from './workspace.ts';

/** Where the checkout is in the emulated host. */
const INSTALLED = '/opt/vring';
const DISK_MEBIBYTES = 768;
/** A cloud image, and a disk made from it. */
const CLOUD_MEBIBYTES = 3072;

/** Drivers of every optional device of the emulated host, and for running VMs. */
const MODULES = [
  ...['nvme', 'igb', 'igbvf', 'e1000e', 'e1000', '8139cp', '8139too', 'virtio_net'],
  ...['vfio-pci', 'vfio_iommu_type1', 'pci-stub', 'kvm-amd', 'tun', 'bridge', 'loop'],
];
/** Modules that the nested Linux guest needs in addition to the built-in drivers of Debian's kernel. */
const GUEST_MODULES = ['virtio_blk', 'virtio-rng'];
/** Modules of the guest that runs scripts: drivers for devices that are passed through or plugged in. */
const AGENT_MODULES = [...GUEST_MODULES, 'virtio_net', 'igbvf', 'e1000e', 'nvme'];
/** Modules of the guest with all common devices. */
const DEVICES_MODULES = [
  ...[...AGENT_MODULES, 'virtio_scsi', 'sd_mod', 'sr_mod', 'isofs', 'crc32c_generic', 'ext4'],
  'virtio_balloon',
  ...['xhci-pci', 'usb-storage', 'usbhid', 'hid-generic', 'evdev'],
  ...['sdhci-pci', 'mmc_block', 'e1000'],
];
/** Programs of this machine for that guest. */
const DEVICES_COMMANDS = ['/usr/sbin/mke2fs', '/usr/sbin/e2fsck', '/usr/bin/eject', '/usr/sbin/qemu-ga'];

/** For guest networks: modules, and the programs and libraries that vring runs for them. */
const NETWORK_MODULES = [
  ...['vhost_net', 'veth', 'macvtap', 'nf_tables', 'nft_chain_nat', 'nft_masq', 'nft_ct', 'nft_reject_ipv4'],
];
const NETWORK_COMMANDS = ['/usr/sbin/dnsmasq', '/usr/sbin/nft', '/usr/bin/passt'];
const TPM_COMMAND = '/usr/bin/swtpm';
/** Creates its CDs. */
const CD_COMMAND = '/usr/bin/genisoimage';
/** For creating disks from a cloud image, and logging in to its guest. */
const CLOUD_COMMANDS = ['/usr/bin/qemu-img', '/usr/bin/ssh', '/usr/bin/ssh-keygen'];
const NETWORK_LIBRARY = '/usr/lib/x86_64-linux-gnu/libslirp.so.0';

/** Commands of this machine that busybox can't fully replace. */
const COMMANDS = ['/usr/bin/kmod', '/usr/sbin/ip', '/usr/bin/tmux', '/usr/bin/setpriv'];
/** Manages NVMe controllers; vring recommends it for their VFs. */
const NVME_COMMAND = '/usr/sbin/nvme';
const KMOD_NAMES = ['modprobe', 'insmod', 'rmmod', 'lsmod', 'modinfo', 'depmod'];

/** The parts of the checkout that the command needs at run time. */
const CHECKOUT = ['package.json', 'bin', 'dist'];

/** QEMU with the files that it reads at run time. */
const QEMU = ['/usr/bin/qemu-system-x86_64', '/usr/share/qemu', '/usr/share/seabios', '/usr/lib/ipxe/qemu'];

/** Firmware that VMs boot with: SeaBIOS, OVMF, and iPXE's ROMs. */
const FIRMWARE = [
  ...['bios-256k.bin', 'vgabios-stdvga.bin'].map(name => `/usr/share/seabios/${name}`),
  ...['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd'].map(name => `/usr/share/OVMF/${name}`),
  '/usr/lib/ipxe/qemu',
];

export type RootDiskOptions = {
  /** With this machine's QEMU on its PATH, to compare with vring (default: without). */
  readonly qemu?: boolean;
  /**
   * With VFIO features that Debian does not build: iommufd, character devices, no-IOMMU mode
   * (default: as Debian builds it).
   */
  readonly iommufd?: boolean;
  /** With nvme-cli (default: without). */
  readonly nvmeCli?: boolean;
  /**
   * With support for connecting guests to networks, and a Linux guest with drivers and programs for all of its devices
   * (default: without).
   */
  readonly guestDevices?: boolean;
  /** With firmware and media that VMs boot with it (default: without). */
  readonly firmware?: boolean;
  /**
   * With a disk, an installer CD and memtest86+ to boot by firmware, and a QEMU that survives
   * OVMF in a VM (default: without).
   */
  readonly bootMedia?: boolean;
  /** With a cloud image, and the tools to create VMs from it and log in to them (default: without). */
  readonly cloudImage?: boolean;
};

/** Makes an ext4 image of the emulated host's root: busybox, kernel modules, Node and the built checkout. */
export async function makeRootDisk(kernel: Kernel, image: string, options: RootDiskOptions): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'vring-root-'));
  try {
    await addBaseSystem(root);
    await addCheckout(root);
    const modules = await resolveModules(
      kernel,
      options.guestDevices ? [...MODULES, ...NETWORK_MODULES] : MODULES,
    );
    // Later modules replace earlier ones at the same path.
    if (options.iommufd) modules.push(...(await iommufdModules(kernel)));
    await installModules(kernel, modules, root);
    await addGuest(kernel, root);
    if (options.nvmeCli) await addCommands([NVME_COMMAND], root);
    if (options.guestDevices) await addGuestWithDevices(kernel, root);
    if (options.firmware) await addFirmware(root);
    if (options.bootMedia) await addBootMedia(kernel, root);
    if (options.cloudImage) await addCloudImage(root);
    if (options.qemu) await addQemu(root);
    const size = DISK_MEBIBYTES + (options.cloudImage ? CLOUD_MEBIBYTES : 0);
    await run('mke2fs', [
      ...['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', root],
      ...[image, `${size}M`],
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function addBaseSystem(root: string): Promise<void> {
  for (const directory of [
    'bin',
    'boot',
    'dev',
    'etc/modprobe.d',
    'proc',
    'root',
    'run',
    'sys',
    'tmp',
    'var',
  ]) {
    await mkdir(join(root, directory), { recursive: true });
  }
  await symlink('bin', join(root, 'sbin'));
  await symlink('.', join(root, 'usr'));
  await copyFile(BUSYBOX, join(root, 'bin/busybox'));
  const replaced = new Set([...KMOD_NAMES, ...COMMANDS.map(command => basename(command))]);
  for (const applet of await busyboxApplets()) {
    if (!replaced.has(applet)) await symlink('busybox', join(root, 'bin', applet));
  }
  await addCommands(COMMANDS, root);
  for (const name of KMOD_NAMES) await symlink('kmod', join(root, 'bin', name));
  await copyFile(join(import.meta.dirname, 'image/init.sh'), join(root, 'bin/rig-init'));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nkvm:x:104:\n');
  await copyFile('/etc/os-release', join(root, 'etc/os-release'));
  // tmux requires a UTF-8 locale, and the C library has none built in.
  await cp('/usr/lib/locale/C.utf8', join(root, 'lib/locale/C.utf8'), { recursive: true });
  await mkdir(join(root, 'share/misc'), { recursive: true });
  await copyFile('/usr/share/misc/pci.ids', join(root, 'share/misc/pci.ids'));
}

async function addCheckout(root: string): Promise<void> {
  const installed = join(root, INSTALLED);
  for (const path of CHECKOUT) {
    const source = join(repository, path);
    if (!existsSync(source)) throw new Error(`${path} is missing in the checkout: run npm ci`);
    await cp(source, join(installed, path), { recursive: true });
  }
  // In the same place as in a self-contained package.
  await cp(process.execPath, join(installed, 'bin/node'), { dereference: true });
  await symlink(join(INSTALLED, 'bin/node'), join(root, 'bin/node'));
  await symlink(join(INSTALLED, 'bin/vring'), join(root, 'bin/vring'));
  await addLibraries(process.execPath, root);
  const libraries = await readdir(join(repository, 'dist'));
  for (const library of libraries.filter(name => /\.(so|node)$/.test(name))) {
    await addLibraries(join(repository, 'dist', library), root);
  }
}

async function addGuest(kernel: Kernel, root: string): Promise<void> {
  const image = (name: string) => join(import.meta.dirname, 'image', name);
  const boot = (name: string) => join(root, 'boot', name);
  await copyFile(kernel.bzImage, boot('vmlinuz'));
  await copyFile(kernel.vmlinux, boot('vmlinux'));
  const modules = await resolveModules(kernel, GUEST_MODULES);
  await writeFile(boot('guest-initrd'), await initramfs(image('guest-init.sh'), modules));
  const agentModules = await resolveModules(kernel, AGENT_MODULES);
  await writeFile(
    boot('agent-initrd'),
    await initramfs(image('agent-init.sh'), agentModules, { 'bin/udhcpc-script': image('udhcpc.sh') }),
  );
}

async function addGuestWithDevices(kernel: Kernel, root: string): Promise<void> {
  await addCommands([...NETWORK_COMMANDS, CD_COMMAND], root);
  await addNetworkLibrary(root);
  const image = (name: string) => join(import.meta.dirname, 'image', name);
  const files: Record<string, string> = { 'bin/udhcpc-script': image('udhcpc.sh') };
  for (const command of DEVICES_COMMANDS) {
    files[`bin/${basename(command)}`] = command;
    for (const library of await librariesOf(command)) files[library.slice(1)] = await realpath(library);
  }
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(root, 'boot/disk.qcow2'), '64M']);
  const modules = await resolveModules(kernel, DEVICES_MODULES);
  await writeFile(join(root, 'boot/devices-initrd'), await initramfs(image('agent-init.sh'), modules, files));
}

async function addNetworkLibrary(root: string): Promise<void> {
  // It is named by a link; the root's /usr is the root itself.
  await mkdir(join(root, dirname(NETWORK_LIBRARY.slice('/usr/'.length))), { recursive: true });
  await copyFile(await realpath(NETWORK_LIBRARY), join(root, NETWORK_LIBRARY.slice('/usr/'.length)));
  await addLibraries(NETWORK_LIBRARY, root);
}

async function addFirmware(root: string): Promise<void> {
  for (const path of FIRMWARE) {
    const destination = join(root, path.slice('/usr/'.length));
    await mkdir(dirname(destination), { recursive: true });
    await cp(path, destination, { recursive: true });
  }
  const boot = (name: string) => join(root, 'boot', name);
  await copyFile(await debianFile('ipxe', 'boot/ipxe.lkrn'), boot('ipxe.lkrn'));
  await addNetworkLibrary(root);
}

async function addBootMedia(kernel: Kernel, root: string): Promise<void> {
  const boot = (name: string) => join(root, 'boot', name);
  await copyFile(await debianFile('memtest86+', 'boot/memtest86+x64.bin'), boot('memtest86+x64.bin'));
  await makeGrubDisk(kernel, boot('debian.img'));
  await makeInstallerCd(boot('installer.iso'));
  await copyFile(
    await debianFile('grub-efi-amd64-bin', 'usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi'),
    boot('grubnetx64.efi'),
  );
  await addCommands([TPM_COMMAND], root);
}

async function addCloudImage(root: string): Promise<void> {
  await copyFile(await cloudImage(), join(root, 'boot/cloud.qcow2'));
  await addCommands(CLOUD_COMMANDS, root);
}

async function addQemu(root: string): Promise<void> {
  // The root's /usr is the root itself.
  for (const path of QEMU) await cp(path, join(root, path.slice('/usr/'.length)), { recursive: true });
  await addLibraries(QEMU[0]!, root);
}

/** Copies programs of this machine to /bin, together with the libraries that they load. */
async function addCommands(commands: readonly string[], root: string): Promise<void> {
  for (const command of commands) {
    await copyFile(command, join(root, 'bin', basename(command)));
    await addLibraries(command, root);
  }
}

/** Copies the shared libraries that an ELF file of this machine loads, to the same paths under `root`. */
async function addLibraries(file: string, root: string): Promise<void> {
  for (const library of await librariesOf(file)) {
    const destination = join(root, library);
    await mkdir(dirname(destination), { recursive: true });
    await copyFile(await realpath(library), destination);
  }
}
