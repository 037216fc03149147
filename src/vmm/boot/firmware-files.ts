import type { FirmwareBoot } from '../machine/config.ts';
import { BootError } from './boot-error.ts';

type Kind = FirmwareBoot['firmware'];

/** Where the packages of Debian and Ubuntu, of Fedora and its kin, and of Arch Linux have it. */
const FILES: Readonly<Record<Kind, readonly string[]>> = {
  bios: [
    '/usr/share/seabios/bios-256k.bin',
    '/usr/share/qemu/bios-256k.bin',
    '/usr/share/seabios/bios.bin',
    '/usr/share/qemu/bios.bin',
  ],
};

const PACKAGES: Readonly<Record<Kind, { readonly what: string; readonly names: string }>> = {
  bios: { what: 'SeaBIOS', names: 'seabios (Debian, Ubuntu, Arch Linux) or seabios-bin (Fedora)' },
};

/** The file with the firmware of a machine. @param exists whether there is a file. @throws BootError that names the package */
export function firmwareFile(
  { firmware, path }: Pick<FirmwareBoot, 'firmware' | 'path'>,
  exists: (path: string) => boolean,
): string {
  const file = path ?? FILES[firmware].find(exists);
  if (file !== undefined) return file;
  const { what, names } = PACKAGES[firmware];
  throw new BootError(
    `this host has no ${what}, which boots VMs without a kernel: install the package ${names}, or name its file by --firmware`,
  );
}
