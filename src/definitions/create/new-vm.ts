import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { printable } from '../../text/printable.ts';
import { sizeText } from '../../text/size.ts';
import { UsageError } from '../../text/usage-error.ts';
import { namedFirmware } from '../../vmm/boot/firmware-files.ts';
import { type ImageInfo, imageInfo } from './image-info.ts';
import { checkAddress, cloudNetwork, type NicsInput, ownSshKeyFile, readSshKeys } from './option-values.ts';
import type { NewVm, NewVmSource } from './plan.ts';

/** The options for a new VM. */
export type CreateOptions = {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly iso?: string;
  readonly cloudImage?: string;
  readonly hostname?: string;
  readonly user?: string;
  readonly sshKey?: readonly string[];
  readonly passwordHash?: string;
  readonly address?: string;
  readonly gateway?: string;
  readonly dns?: readonly string[];
  /** A kind of firmware, or a firmware file. */
  readonly firmware?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly diskSize?: number;
  /** Size, in bytes, and format of the disk. */
  readonly disk?: { readonly size?: number; readonly format?: 'raw' | 'qcow2' };
  readonly network?: NicsInput;
  /** PCI devices to pass through. */
  readonly pci?: readonly string[];
  readonly autostart?: boolean;
};

const GiB = 2 ** 30;
export const DEFAULTS = { memory: 2 * GiB, kernelMemory: GiB / 4, cpus: 1, installerDisk: 20 * GiB } as const;

const SOURCES = ['kernel', 'iso', 'cloudImage'] as const;

/** Options for one source only. */
const BELONG_TO: Readonly<Record<string, (typeof SOURCES)[number]>> = {
  initrd: 'kernel',
  append: 'kernel',
  hostname: 'cloudImage',
  user: 'cloudImage',
  sshKey: 'cloudImage',
  passwordHash: 'cloudImage',
  address: 'cloudImage',
  gateway: 'cloudImage',
  dns: 'cloudImage',
};

const flag = (name: string) => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;

const NOT_OF_THE_VM: readonly string[] = ['json', 'dryRun', 'replace'];

/** The options that describe the VM, as the user writes them. Without any, the wizard asks. */
export function describing(options: CreateOptions): string[] {
  return Object.keys(options)
    .filter(name => !NOT_OF_THE_VM.includes(name))
    .map(flag);
}

/** The VM that the options describe. @throws UsageError, CreateError */
export function newVmOf(name: string, options: CreateOptions): NewVm {
  const [source, ...others] = SOURCES.filter(source => options[source] !== undefined);
  if (source === undefined || others.length > 0)
    throw new UsageError(`a new VM starts from one of ${SOURCES.map(flag).join(', ')}`);
  for (const [option, belongsTo] of Object.entries(BELONG_TO)) {
    if (options[option as keyof CreateOptions] !== undefined && belongsTo !== source)
      throw new UsageError(`${flag(option)} is only valid with ${flag(belongsTo)}`);
  }
  const { cpus = DEFAULTS.cpus, autostart, firmware, pci = [] } = options;
  const memory = options.memory ?? (source === 'kernel' ? DEFAULTS.kernelMemory : DEFAULTS.memory);
  const nics = options.network ?? (source === 'kernel' ? [] : [{ network: 'user' as const }]);
  return {
    name,
    source: sourceOf(options),
    diskSize: options.disk?.size ?? options.diskSize ?? (source === 'iso' ? DEFAULTS.installerDisk : null),
    ...(options.disk?.format !== undefined && { diskFormat: options.disk.format }),
    more: {
      memory: sizeText(memory),
      cpus,
      ...(firmware !== undefined && { machine: firmwareOf(firmware) }),
      nics,
      ...(pci.length > 0 && { passthrough: pci.map(host => ({ host: checkAddress(host) })) }),
      ...(autostart && { autostart }),
    },
  };
}

function firmwareOf(what: string) {
  const { firmware, path } = namedFirmware(what);
  if (path === undefined) return { firmware };
  if (!existsSync(path))
    throw new UsageError(`--firmware ${printable(what)}: there is no such file: name bios, uefi or a file`);
  return { firmware, 'firmware-file': resolve(path) };
}

function sourceOf(options: CreateOptions): NewVmSource {
  const { kernel, initrd, append, iso, cloudImage } = options;
  if (iso !== undefined) return { kind: 'installer', image: imageAt(iso) };
  if (cloudImage !== undefined) return cloudSource(imageAt(cloudImage), options);
  return {
    kind: 'kernel',
    kernel: resolve(kernel!),
    ...(initrd !== undefined && { initrd: resolve(initrd) }),
    ...(append !== undefined && { append }),
  };
}

function imageAt(path: string): ImageInfo {
  return imageInfo(resolve(path));
}

function cloudSource(image: ImageInfo, options: CreateOptions): NewVmSource {
  const { hostname, user = defaultUser(), passwordHash, address, gateway, dns = [] } = options;
  const own = passwordHash === undefined ? ownSshKeyFile() : null;
  const keyFiles = options.sshKey ?? (own === null ? [] : [own]);
  if (keyFiles.length === 0 && passwordHash === undefined)
    throw new UsageError(`nobody could log in as ${user}: add --ssh-key or --password-hash`);
  return {
    kind: 'cloud',
    image,
    ...(hostname !== undefined && { hostname }),
    user: {
      name: user,
      sshKeys: keyFiles.flatMap(readSshKeys),
      ...(passwordHash !== undefined && { passwordHash }),
    },
    network: cloudNetwork(address, gateway, dns),
  };
}

/** Root should not be a guest's first user. */
export function defaultUser(): string {
  try {
    const { username } = userInfo();
    return username === 'root' ? 'admin' : username;
  } catch {
    return 'admin';
  }
}
