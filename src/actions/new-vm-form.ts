import { existsSync } from 'node:fs';
import { imageInfo } from '../definitions/create/image-info.ts';
import { DEFAULTS, defaultUser, newVmOf } from '../definitions/create/new-vm.ts';
import {
  checkAddress,
  ownSshKeyFile,
  parseNetwork,
  readSshKeys,
} from '../definitions/create/option-values.ts';
import { type NewVm, planNewVm } from '../definitions/create/plan.ts';
import { sourceObstacle } from '../definitions/create/source-support.ts';
import type { FormField, FormValues } from '../store/layers.ts';
import { parseCount } from '../text/option-values.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { filePath } from './complete-path.ts';

const SOURCES = ['installer', 'cloud', 'kernel'] as const;
type Source = (typeof SOURCES)[number];

/** The sources that this version cannot start a VM from, and why. */
const OBSTACLES = new Map(
  SOURCES.flatMap(source => {
    const obstacle = sourceObstacle(source);
    return obstacle === null ? [] : [[source, obstacle] as const];
  }),
);
const AVAILABLE = SOURCES.filter(source => !OBSTACLES.has(source));
const MISSING = SOURCES.filter(source => OBSTACLES.has(source));

const FIRMWARES = ['bios', 'uefi'] as const;

type NewVmField = FormField & {
  /** The sources that it belongs to; default: all. */
  readonly of?: readonly Source[];
  readonly initially?: (source: Source) => string;
  /** @throws what is wrong with it, in a sentence */
  readonly read: (text: string) => unknown;
};

const GiB = 2 ** 30;
const isCloud = { of: ['cloud'] as const };
const isKernel = { of: ['kernel'] as const };

export const FIELDS: readonly NewVmField[] = [
  { key: 'name', label: 'Name', hint: 'letters, digits, ".", "_", "-"', read: readName },
  {
    key: 'source',
    label: 'Start from',
    hint: 'an installer, a cloud image or a kernel; Left and Right choose',
    choices: AVAILABLE,
    ...(MISSING.length > 0 && { missingChoices: `no ${MISSING.join(', ')} yet` }),
    initially: source => source,
    read: text => text,
  },
  {
    key: 'image',
    label: 'Image',
    hint: 'a file: .iso for an installer; qcow2 or raw for a cloud image',
    of: ['installer', 'cloud'],
    path: true,
    read: text => imageInfo(existingFile(text)),
  },
  {
    key: 'firmware',
    label: 'Firmware',
    hint: 'bios (SeaBIOS) or uefi (OVMF); Left and Right choose',
    of: ['installer', 'cloud'],
    choices: FIRMWARES,
    initially: () => FIRMWARES[0],
    read: text => text,
  },
  {
    key: 'kernel',
    label: 'Kernel',
    hint: 'a file: bzImage or ELF; Tab completes the path',
    ...isKernel,
    path: true,
    read: existingFile,
  },
  {
    key: 'initrd',
    label: 'Initial RAM disk',
    hint: 'a file, or none; Tab completes the path',
    ...isKernel,
    path: true,
    initially: () => 'none',
    read: text => (text === 'none' ? null : existingFile(text)),
  },
  {
    key: 'append',
    label: 'Command line',
    hint: 'the command line of the kernel',
    ...isKernel,
    mayBeEmpty: true,
    initially: () => 'console=ttyS0',
    read: text => text,
  },
  {
    key: 'user',
    label: 'User',
    hint: 'the name of the first user',
    ...isCloud,
    initially: defaultUser,
    read: text => text,
  },
  {
    key: 'sshKey',
    label: 'SSH public key',
    hint: 'a file, or the key itself; Tab completes the path',
    ...isCloud,
    path: true,
    initially: () => ownSshKeyFile() ?? '',
    read: text => readSshKeys(text.startsWith('~') ? filePath(text) : text),
  },
  {
    key: 'address',
    label: 'Address',
    hint: 'dhcp, or one such as 192.0.2.10/24',
    ...isCloud,
    initially: () => 'dhcp',
    read: text => text,
  },
  {
    key: 'gateway',
    label: 'Gateway',
    hint: 'an address, or none',
    ...isCloud,
    initially: () => 'none',
    read: text => text,
  },
  {
    key: 'network',
    label: 'Network',
    hint: 'Tab completes it: user, network:NAME, bridge:NAME, ... or none',
    initially: source => (source === 'kernel' ? 'none' : 'user'),
    read: parseNetwork,
  },
  {
    key: 'memory',
    label: 'Memory',
    hint: 'a size, such as 2G',
    initially: source => sizeText(source === 'kernel' ? DEFAULTS.kernelMemory : DEFAULTS.memory),
    read: readSize,
  },
  {
    key: 'cpus',
    label: 'vCPUs',
    hint: 'a number from 1 to 64',
    initially: () => String(DEFAULTS.cpus),
    read: text => parseCount(text, 'vCPUs', 1, 64),
  },
  {
    key: 'disk',
    label: 'Disk',
    hint: 'a size, such as 20G, or none',
    initially: source =>
      source === 'kernel' ? 'none' : sizeText(source === 'cloud' ? 10 * GiB : DEFAULTS.installerDisk),
    read: text => (text === 'none' ? null : readSize(text)),
  },
  {
    key: 'passthrough',
    label: 'PCI devices',
    hint: 'addresses, or none; default: the marked functions',
    initially: () => 'none',
    read: text => wordsOf(text).map(checkAddress),
  },
  {
    key: 'autostart',
    label: 'Autostart',
    hint: 'Space turns it on and off: start the VM with vring serve',
    checkbox: true,
    initially: () => 'no',
    read: text => text,
  },
];

function sourceOf(values: FormValues): Source {
  return SOURCES.find(source => source === values.source) ?? AVAILABLE[0] ?? 'kernel';
}

/** The fields for the chosen source. */
export function formFields(values: FormValues): readonly NewVmField[] {
  const source = sourceOf(values);
  return FIELDS.filter(({ of }) => of?.includes(source) ?? true);
}

/** The text typed, else the default. */
export function formValue(values: FormValues, { key }: FormField): string {
  const field = FIELDS.find(field => field.key === key);
  return values[key] ?? field?.initially?.(sourceOf(values)) ?? '';
}

/** What is wrong with a field, in a sentence; null if it is valid. */
export function fieldProblem(values: FormValues, field: FormField, taken: readonly string[]): string | null {
  const text = formValue(values, field).trim();
  if (field.key === 'name' && taken.includes(text)) return `there is already a VM named ${text}`;
  try {
    FIELDS.find(({ key }) => key === field.key)!.read(text);
    return null;
  } catch (error) {
    // Drop the name of the command line's option.
    return (error as Error).message.replace(/^(--[\w-]+|vCPUs) .*?: (?=expected|it )/, '');
  }
}

/** A note about a field: the part of it that this version does not support. */
export function fieldNote(values: FormValues, field: FormField): string | null {
  if (field.key === 'source') {
    const missing = [...OBSTACLES].map(
      ([source, obstacle]) => `${source}: not available in this version: ${obstacle}`,
    );
    return missing.length === 0 ? null : missing.join('; ');
  }
  const definedBy = { network: 'nics', passthrough: 'passthrough' }[field.key];
  if (definedBy === undefined) return null;
  try {
    const { notYet } = planNewVm(formVm({ ...values, name: 'sample' }), '/', '');
    const missing = notYet.filter(({ key }) => key.startsWith(definedBy)).map(({ what }) => what);
    if (missing.length === 0) return null;
    return `this version does not support ${[...new Set(missing)].join(' or ')}: the VM can be saved, but not started`;
  } catch {
    // The error is shown at the field that caused it.
    return null;
  }
}

/** The VM that the form describes. @throws what is wrong with it, in a sentence */
export function formVm(values: FormValues): NewVm {
  const text = (key: string) => {
    const field = formFields(values).find(field => field.key === key);
    return field === undefined ? 'none' : formValue(values, field).trim();
  };
  const given = (key: string) => (text(key) === 'none' || text(key) === '' ? undefined : text(key));
  const source = sourceOf(values);
  const { initrd, gateway, disk } = {
    initrd: given('initrd'),
    gateway: given('gateway'),
    disk: given('disk'),
  };
  const address = text('address') === 'dhcp' ? undefined : given('address');
  return newVmOf(text('name'), {
    ...(source === 'kernel'
      ? {
          kernel: filePath(text('kernel')),
          append: text('append'),
          ...(initrd && { initrd: filePath(initrd) }),
        }
      : source === 'installer'
        ? { iso: filePath(text('image')) }
        : {
            cloudImage: filePath(text('image')),
            user: text('user'),
            sshKey: [text('sshKey')],
            ...(address !== undefined && { address, ...(gateway !== undefined && { gateway }) }),
          }),
    network: parseNetwork(text('network')),
    ...(text('firmware') === 'uefi' && { firmware: 'uefi' as const }),
    memory: readSize(text('memory')),
    cpus: Number(text('cpus')),
    pci: wordsOf(text('passthrough')),
    autostart: text('autostart') === 'yes',
    ...(disk !== undefined && { diskSize: readSize(disk) }),
  });
}

function readName(text: string): string {
  if (VM_NAME.pattern.test(text)) return text;
  throw new Error(`expected ${VM_NAME.rule}`);
}

function readSize(text: string): number {
  const size = bytesOf(text);
  if (size === null) throw new Error('expected a size, such as 512M or 20G');
  return size;
}

function existingFile(text: string): string {
  if (text === '') throw new Error('expected the path of a file');
  const file = filePath(text);
  if (!existsSync(file)) throw new Error(`${file} does not exist`);
  return file;
}

function wordsOf(text: string): string[] {
  return text === 'none' ? [] : text.split(/[\s,]+/).filter(word => word !== '');
}
