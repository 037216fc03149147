import { TreeBuilder } from './builder.ts';

/** os-release files of distributions that differ in how they boot. */
export const osReleases = {
  debian: 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  ubuntu: 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
  fedora: 'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41"\n',
  silverblue: 'ID=fedora\nVERSION_ID=41\nVARIANT_ID=silverblue\nOSTREE_VERSION="41"\n',
  rhel: 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4"\n',
  suse: 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nPRETTY_NAME="openSUSE Tumbleweed"\n',
  arch: 'ID=arch\nPRETTY_NAME="Arch Linux"\n',
  nixos: 'ID=nixos\nVERSION_ID="24.11"\nPRETTY_NAME="NixOS 24.11"\n',
} as const;

const grubBoot = 'BOOT_IMAGE=/vmlinuz root=/dev/sda2 ro quiet\n';

/** A host as far as its boot loader goes; files by path. */
export function bootTree(
  distribution: keyof typeof osReleases,
  files: Readonly<Record<string, string | Buffer>>,
  cmdline = grubBoot,
): TreeBuilder {
  const tree = new TreeBuilder();
  tree.file('/etc/os-release', osReleases[distribution]).file('/proc/cmdline', cmdline);
  for (const [path, content] of Object.entries(files)) tree.file(path, content);
  return tree;
}

/** Debian's tools with this /etc/default/grub. */
export function debianGrub(defaults: string, more: Readonly<Record<string, string>> = {}): TreeBuilder {
  return bootTree('debian', { '/etc/default/grub': defaults, '/usr/sbin/update-grub': '', ...more });
}

/** An EFI variable of the Boot Loader Interface, as efivarfs has it. */
export function loaderVariable(name: string, text: string): Record<string, Buffer> {
  const path = `/sys/firmware/efi/efivars/${name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f`;
  return { [path]: Buffer.concat([Buffer.from([6, 0, 0, 0]), Buffer.from(`${text}\0`, 'utf16le')]) };
}

/** BootCurrent and the load option it names, for a program on the EFI partition. */
export function bootOption(path: string): Record<string, Buffer> {
  const directory = '/sys/firmware/efi/efivars';
  const vendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
  const text = Buffer.from(`${path}\0`, 'utf16le');
  const node = Buffer.concat([Buffer.from([4, 4, 0, 0]), text]);
  node.writeUInt16LE(node.length, 2);
  // A hard disk's media device path comes first, and one that ends the list.
  const disk = Buffer.alloc(42);
  disk.set([4, 1, 42, 0]);
  const paths = Buffer.concat([disk, node, Buffer.from([0x7f, 0xff, 4, 0])]);
  const head = Buffer.alloc(6);
  head.writeUInt32LE(1, 0);
  head.writeUInt16LE(paths.length, 4);
  const option = Buffer.concat([head, Buffer.from('Linux\0', 'utf16le'), paths]);
  const attributes = Buffer.from([7, 0, 0, 0]);
  return {
    [`${directory}/BootCurrent-${vendor}`]: Buffer.concat([attributes, Buffer.from([0x0a, 0])]),
    [`${directory}/Boot000A-${vendor}`]: Buffer.concat([attributes, option]),
  };
}

/** A unified kernel image with nothing but a command line. */
export function ukiImage(commandLine: string): Buffer {
  const image = Buffer.alloc(0x600);
  image.write('MZ');
  image.writeUInt32LE(0x80, 60);
  image.write('PE\0\0', 0x80, 'latin1');
  image.writeUInt16LE(2, 0x86);
  image.writeUInt16LE(0xf0, 0x94);
  const sections = [
    ['.osrel', 'ID=arch\n', 0x400] as const,
    ['.cmdline', `${commandLine}\0`, 0x500] as const,
  ];
  for (const [index, [name, content, offset]] of sections.entries()) {
    const at = 0x80 + 24 + 0xf0 + index * 40;
    image.write(name, at, 'latin1');
    image.writeUInt32LE(content.length, at + 8);
    image.writeUInt32LE(0x100, at + 16);
    image.writeUInt32LE(offset, at + 20);
    image.write(content, offset);
  }
  return image;
}
