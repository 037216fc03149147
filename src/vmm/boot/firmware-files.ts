import { basename, dirname, join } from 'node:path';
import type { FirmwareBoot } from '../machine/config.ts';
import { BootError } from './boot-error.ts';

type Kind = FirmwareBoot['firmware'];
type Wanted = Pick<FirmwareBoot, 'firmware' | 'path'> & { readonly secureBoot?: boolean };

/** The paths used by the packages of Debian and Ubuntu, of Fedora and its derivatives, and of Arch Linux. */
const FILES: Readonly<Record<Kind, readonly string[]>> = {
  bios: [
    '/usr/share/seabios/bios-256k.bin',
    '/usr/share/qemu/bios-256k.bin',
    '/usr/share/seabios/bios.bin',
    '/usr/share/qemu/bios.bin',
  ],
  uefi: [
    '/usr/share/OVMF/OVMF_CODE_4M.fd',
    '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
    '/usr/share/edk2/ovmf/OVMF_CODE.fd',
    '/usr/share/OVMF/OVMF_CODE.fd',
    '/usr/share/edk2-ovmf/x64/OVMF_CODE.fd',
  ],
};

const NAMES: Readonly<Record<string, Kind | undefined>> = {
  bios: 'bios',
  seabios: 'bios',
  uefi: 'uefi',
  ovmf: 'uefi',
};

/** Firmware that has Secure Boot without SMM, and the variables with its keys: Debian and Ubuntu ship some. */
const SECURE_BOOT = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', template: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd' },
] as const;

const PACKAGES: Readonly<Record<Kind, { readonly what: string; readonly names: string }>> = {
  bios: { what: 'SeaBIOS', names: 'seabios (Debian, Ubuntu, Arch Linux) or seabios-bin (Fedora)' },
  uefi: { what: 'OVMF', names: 'ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch Linux)' },
};

/** Images that stop without SMM, by their names. */
const NEEDS_SMM = /secboot|\.ms\.fd$|snakeoil|secure/i;

/** Whether UEFI firmware stops without SMM, by the name of its file. */
export function needsSmm(file: string): boolean {
  return NEEDS_SMM.test(basename(file));
}

/** The kind of a firmware file, by the names that distributions use; null if unknown. */
export function firmwareKind(file: string): Kind | null {
  const name = basename(file).toLowerCase();
  if (/ovmf|edk2|uefi|\.fd$/.test(name)) return 'uefi';
  if (/^(bios(-256k|-microvm)?|seabios|qboot|vgabios)\.(bin|rom)$/.test(name)) return 'bios';
  return null;
}

/** Firmware as the user names it: its kind, the name of its project, or its file. */
export function namedFirmware(what: string): Pick<FirmwareBoot, 'firmware' | 'path'> {
  const kind = NAMES[what.toLowerCase()];
  return kind !== undefined ? { firmware: kind } : { firmware: firmwareKind(what) ?? 'bios', path: what };
}

/**
 * The file with a machine's firmware.
 * @param exists whether there is a file. @throws BootError that names the package
 */
export function firmwareFile(wanted: Wanted, exists: (path: string) => boolean): string {
  const { firmware, path, secureBoot = false } = wanted;
  const file = path ?? (secureBoot ? secureBootFiles(exists).code : FILES[firmware].find(exists));
  if (file === undefined) {
    const { what, names } = PACKAGES[firmware];
    const purpose = firmware === 'bios' ? 'which boots VMs without a kernel' : 'the UEFI firmware of VMs';
    throw new BootError(
      `this host has no ${what}, ${purpose}: install the package ${names}, or name its file by --firmware`,
    );
  }
  if (firmware === 'uefi' && needsSmm(file))
    throw new BootError(
      `${file} needs SMM, which VMs do not have: use one without, such as ${FILES.uefi[0]} of the package ovmf`,
    );
  return file;
}

/**
 * The template for a new file of UEFI variables, from the same package as the firmware `code`.
 * @returns null for firmware without one: a single image that has both. @throws BootError
 */
export function variablesTemplate(
  { secureBoot = false }: Pick<Wanted, 'secureBoot'>,
  code: string,
  exists: (path: string) => boolean,
): string | null {
  if (secureBoot) return secureBootFiles(exists).template;
  const name = basename(code);
  const variables = name.replace('CODE', 'VARS');
  const template = join(dirname(code), variables);
  if (variables === name) return null;
  if (exists(template)) return template;
  throw new BootError(
    `${template} is missing, with the variables that go with ${code}: reinstall its package, or choose another firmware`,
  );
}

function secureBootFiles(exists: (path: string) => boolean) {
  const found = SECURE_BOOT.find(({ code, template }) => exists(code) && exists(template));
  if (found !== undefined) return found;
  throw new BootError(
    'Secure Boot needs UEFI firmware that has it without SMM, which VMs do not have: install the package ovmf of Debian or Ubuntu, or leave out secure-boot',
  );
}
