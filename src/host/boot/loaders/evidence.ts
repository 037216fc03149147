import { kernelParameters, parameterValues } from '../../kernel-cmdline.ts';
import { HostReadError, type HostRoot } from '../../root.ts';
import { meetsRequest, type ParameterRequest } from '../kernel-words.ts';

/** Evidence of which boot loader booted this host. */
export type BootEvidence = {
  /** Null if not known, or not readable. */
  readonly booted: 'grub' | 'systemd-boot' | 'other' | null;
  /** The name it reports, `systemd-boot 255.4`, or the program that the firmware started. */
  readonly name: string | null;
  /** Whether a unified kernel image was booted, which contains its command line. */
  readonly unified: boolean;
  /** The selected entry: `fedora-6.12.conf`, `arch-linux.efi`. */
  readonly entry: string | null;
};

const variables = '/sys/firmware/efi/efivars';
/** Vendor GUID of the Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE). */
const loaderVendor = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
/** Vendor GUID of UEFI's global variables. */
const globalVendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

export function readEvidence(root: HostRoot): BootEvidence {
  const info = loaderText(root, 'LoaderInfo');
  const entry = loaderText(root, 'LoaderEntrySelected');
  const image = bootImage(root);
  const unified =
    loaderText(root, 'StubInfo') !== null ||
    entry?.toLowerCase().endsWith('.efi') === true ||
    /^\\efi\\linux\\/i.test(image ?? '');
  return { booted: bootedBy(root, info ?? image), name: info ?? image, unified, entry };
}

/** @param text the name that the loader reports, or the path of its program */
function bootedBy(root: HostRoot, text: string | null): BootEvidence['booted'] {
  if (text !== null && /systemd-?boot/i.test(text)) return 'systemd-boot';
  const grub = parameterValues(kernelParameters(root), 'BOOT_IMAGE').length > 0 && hasGrub(root);
  if (grub || /grub/i.test(text ?? '')) return 'grub';
  if (text === null || /shim|bootx64|^\\efi\\linux\\/i.test(text)) return null;
  return 'other';
}

/** BOOT_IMAGE alone is not enough: SYSLINUX passes it too. */
export function hasGrub(root: HostRoot): boolean {
  const paths = ['/etc/default/grub', '/boot/grub/grub.cfg', '/boot/grub2/grub.cfg', '/boot/grub/grub.conf'];
  return paths.some(path => root.exists(path));
}

/** A string variable, in UTF-16. */
function loaderText(root: HostRoot, name: string): string | null {
  const bytes = variable(root, `${name}-${loaderVendor}`);
  return bytes === null ? null : bytes.toString('utf16le').replace(/\0.*$/s, '');
}

/** The program that the firmware started, `\EFI\systemd\systemd-bootx64.efi`: the file path of its load option. */
function bootImage(root: HostRoot): string | null {
  const current = variable(root, `BootCurrent-${globalVendor}`);
  if (current === null || current.length < 2) return null;
  const number = current.readUInt16LE(0).toString(16).toUpperCase().padStart(4, '0');
  const option = variable(root, `Boot${number}-${globalVendor}`);
  return option === null ? null : filePath(option);
}

/** UEFI 2.10, 3.1.3 (EFI_LOAD_OPTION) and 10.3.5.4 (media device path, file path). */
function filePath(option: Buffer): string | null {
  if (option.length < 6) return null;
  let at = 6;
  while (at + 1 < option.length && option.readUInt16LE(at) !== 0) at += 2;
  const end = Math.min(option.length, at + 2 + option.readUInt16LE(4));
  let path = '';
  for (at += 2; at + 4 <= end; ) {
    const length = option.readUInt16LE(at + 2);
    if (length < 4 || at + length > end) break;
    const isPath = option[at] === 4 && option[at + 1] === 4;
    if (isPath) path += option.toString('utf16le', at + 4, at + length).replace(/\0.*$/s, '');
    at += length;
  }
  return path === '' ? null : path;
}

/** The value of an EFI variable without its four bytes of attributes; null also if it cannot be read. */
function variable(root: HostRoot, name: string): Buffer | null {
  try {
    const bytes = root.bytes(`${variables}/${name}`, 65_536);
    return bytes === null || bytes.length <= 4 ? null : bytes.subarray(4);
  } catch (error) {
    if (error instanceof HostReadError) return null;
    throw error;
  }
}

/**
 * Whether the running kernel was started with the parameters: the fallback if the boot loader's files are not
 * accessible.
 */
export function runningSays(root: HostRoot, request: ParameterRequest): boolean {
  return meetsRequest(kernelParameters(root), request);
}
