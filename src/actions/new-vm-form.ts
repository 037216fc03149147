import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { imageInfo } from '../definitions/create/image-info.ts';
import { DEFAULTS, defaultUser, newVmOf } from '../definitions/create/new-vm.ts';
import {
  checkAddress,
  NETWORKS,
  ownSshKeyFile,
  parseNetwork,
  readSshKeys,
} from '../definitions/create/option-values.ts';
import type { NewVm } from '../definitions/create/plan.ts';
import type { FormField, FormValues } from '../store/layers.ts';
import { parseCount } from '../text/option-values.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';

const SOURCES = ['installer', 'cloud', 'kernel'] as const;
type Source = (typeof SOURCES)[number];

type NewVmField = FormField & {
  /** The sources that it belongs to; all when absent. */
  readonly of?: readonly Source[];
  readonly initially?: (source: Source) => string;
  /** @throws what is wrong with it, in a sentence */
  readonly read: (text: string) => unknown;
};

const GiB = 2 ** 30;
const isCloud = { of: ['cloud'] as const };
const isKernel = { of: ['kernel'] as const };

const FIELDS: readonly NewVmField[] = [
  { key: 'name', label: 'Name', hint: 'letters, digits, ".", "_", "-"', read: readName },
  {
    key: 'source',
    label: 'Start from',
    hint: 'Left and Right choose: an installer image, a cloud image, or a kernel',
    choices: SOURCES,
    initially: source => source,
    read: text => text,
  },
  {
    key: 'image',
    label: 'Image',
    hint: 'a file: .iso for an installer; qcow2 or raw for a cloud image',
    of: ['installer', 'cloud'],
    read: text => imageInfo(existingFile(text)),
  },
  { key: 'kernel', label: 'Kernel', hint: 'a file: bzImage or ELF', ...isKernel, read: existingFile },
  {
    key: 'initrd',
    label: 'Initial RAM disk',
    hint: 'a file, or none',
    ...isKernel,
    initially: () => 'none',
    read: text => (text === 'none' ? null : existingFile(text)),
  },
  {
    key: 'append',
    label: 'Action line',
    hint: "the kernel's",
    ...isKernel,
    initially: () => 'console=ttyS0',
    read: text => text,
  },
  {
    key: 'user',
    label: 'User',
    hint: "the first user's name",
    ...isCloud,
    initially: defaultUser,
    read: text => text,
  },
  {
    key: 'sshKey',
    label: 'SSH public key',
    hint: 'a file, or the key itself',
    ...isCloud,
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
    hint: NETWORKS,
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
    hint: 'addresses, or none; at first those that are marked on the screens of the host',
    initially: () => 'none',
    read: text => wordsOf(text).map(checkAddress),
  },
];

function sourceOf(values: FormValues): Source {
  return SOURCES.find(source => source === values.source) ?? 'installer';
}

/** The lines that there are for what is chosen. */
export function formFields(values: FormValues): readonly NewVmField[] {
  const source = sourceOf(values);
  return FIELDS.filter(({ of }) => of?.includes(source) ?? true);
}

/** What was typed, else what it is by itself. */
export function formValue(values: FormValues, { key }: FormField): string {
  const field = FIELDS.find(field => field.key === key);
  return values[key] ?? field?.initially?.(sourceOf(values)) ?? '';
}

/** What is wrong with a field, in a sentence; null when nothing is. */
export function fieldProblem(values: FormValues, field: FormField, taken: readonly string[]): string | null {
  const text = formValue(values, field).trim();
  if (field.key === 'name' && taken.includes(text)) return `there is a VM ${text} already`;
  try {
    FIELDS.find(({ key }) => key === field.key)!.read(text);
    return null;
  } catch (error) {
    // The words of the command line's options have no place here.
    return (error as Error).message.replace(/^(--[\w-]+|vCPUs) .*?: (?=expected|it )/, '');
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
    memory: readSize(text('memory')),
    cpus: Number(text('cpus')),
    passthrough: wordsOf(text('passthrough')),
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

function filePath(text: string): string {
  return resolve(text.startsWith('~/') ? join(homedir(), text.slice(2)) : text);
}

function wordsOf(text: string): string[] {
  return text === 'none' ? [] : text.split(/[\s,]+/).filter(word => word !== '');
}
