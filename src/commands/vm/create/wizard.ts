import { resolve } from 'node:path';
import { imageInfo } from '../../../definitions/create/image-info.ts';
import { NETWORKS } from '../../../definitions/create/network-option.ts';
import { type CreateOptions, DEFAULTS, defaultUser, newVmOf } from '../../../definitions/create/new-vm.ts';
import {
  checkAddress,
  ownSshKeyFile,
  parseNetwork,
  readSshKeys,
} from '../../../definitions/create/option-values.ts';
import type { NewVm } from '../../../definitions/create/plan.ts';
import { sourceObstacle } from '../../../definitions/create/source-support.ts';
import { orList } from '../../../definitions/words.ts';
import { parseCount, parseSize } from '../../../text/option-values.ts';
import { printError } from '../../../text/output.ts';
import { bytesOf, sizeText } from '../../../text/size.ts';
import { VM_NAME } from '../../../vmm/machine/vm-name.ts';
import { ask } from '../ask.ts';

const GiB = 2 ** 30;
/** Default for a cloud image, whose own disk is small. */
const CLOUD_DISK = 10 * GiB;

const KINDS = ['installer', 'cloud', 'kernel'] as const;
type Kind = (typeof KINDS)[number];

/**
 * Prompts for a new VM, line by line. An invalid answer is asked again; an empty one selects the default.
 * @param name if given on the command line. @param taken names of existing VMs
 */
export async function askForVm(name: string | undefined, taken: ReadonlySet<string>): Promise<NewVm> {
  printError('New VM. Enter accepts the value in brackets; Ctrl-C cancels without changing anything.');
  const vmName = name ?? (await asked('Name', '', text => checkName(text, taken)));
  const [byDefault = 'kernel'] = KINDS.filter(kind => sourceObstacle(kind) === null);
  const kind = await asked(`Start from ${orList(KINDS.map(kindText))}`, byDefault, kindOf);
  const source = await askForSource(kind);
  const network = await asked(`Network (${NETWORKS})`, kind === 'kernel' ? 'none' : 'user', parseNetwork);
  const memory = await asked(
    'Memory',
    sizeText(kind === 'kernel' ? DEFAULTS.kernelMemory : DEFAULTS.memory),
    text => parseSize(text, 'memory'),
  );
  const cpus = await asked('vCPUs', String(DEFAULTS.cpus), text => parseCount(text, 'vCPUs', 1, 64));
  const diskSize = await asked('Disk (a size, or none)', defaultDisk(kind, source), diskSizeOf);
  const pci = await asked('PCI devices to pass through (addresses, or none)', 'none', addressesOf);
  return newVmOf(vmName, {
    ...source,
    memory,
    cpus,
    network,
    pci,
    ...(diskSize !== null && { diskSize }),
  });
}

function kindText(kind: Kind): string {
  const obstacle = sourceObstacle(kind);
  return obstacle === null ? kind : `${kind} (not available in this version: ${obstacle})`;
}

/** Asks until the answer is valid. */
async function asked<Value>(
  question: string,
  byDefault: string,
  read: (text: string) => Value,
): Promise<Value> {
  for (;;) {
    const answer = await ask(question, byDefault);
    try {
      return read(answer);
    } catch (error) {
      printError(`  ${(error as Error).message}`);
    }
  }
}

function kindOf(text: string): Kind {
  const kind = KINDS.find(kind => text !== '' && kind.startsWith(text.toLowerCase()));
  if (kind === undefined) throw new Error(`expected ${orList(KINDS)}, not ${text}`);
  const obstacle = sourceObstacle(kind);
  if (obstacle !== null) throw new Error(`${kind} is not available in this version: ${obstacle}`);
  return kind;
}

async function askForSource(kind: Kind): Promise<CreateOptions> {
  if (kind === 'kernel') {
    const kernel = await asked('Kernel (a file)', '', existing);
    const initrd = await asked('Initial RAM disk (a file, or none)', 'none', text => text);
    const append = await asked('Kernel command line', 'console=ttyS0', text => text);
    return { kernel, append, ...(initrd !== 'none' && { initrd: resolve(initrd) }) };
  }
  const image = await asked(kind === 'installer' ? 'Installer image (.iso)' : 'Image (a file)', '', text => {
    const info = imageInfo(existing(text));
    if (kind === 'installer' && info.format !== 'iso') throw new Error(`${text} is not a CD image`);
    if (kind === 'cloud' && info.format === 'iso')
      throw new Error(`${text} is a CD image: start from an installer`);
    return info.file;
  });
  if (kind === 'installer') return { iso: image };
  const user = await asked('Name of the first user', defaultUser(), text => text);
  const sshKey = await asked(
    'SSH public key of that user (a file, or the key)',
    ownSshKeyFile() ?? '',
    text => {
      readSshKeys(text);
      return text;
    },
  );
  const address = await asked(
    'Address of the guest (dhcp, or an address such as 192.0.2.10/24)',
    'dhcp',
    text => text,
  );
  const cloud = { cloudImage: image, user, sshKey: [sshKey] };
  if (address === 'dhcp') return cloud;
  const gateway = await asked('Gateway (an address, or none)', 'none', text => text);
  const dns = await asked('Name servers (addresses, or none)', 'none', wordsOf);
  return { ...cloud, address, dns, ...(gateway !== 'none' && { gateway }) };
}

function checkName(text: string, taken: ReadonlySet<string>): string {
  if (!VM_NAME.pattern.test(text)) throw new Error(`expected ${VM_NAME.rule}`);
  if (taken.has(text)) throw new Error(`VM ${text} already exists`);
  return text;
}

function existing(text: string): string {
  if (text === '') throw new Error('expected the path of a file');
  return resolve(text);
}

function defaultDisk(kind: Kind, { cloudImage }: CreateOptions): string {
  if (kind === 'kernel') return 'none';
  if (kind === 'installer') return sizeText(DEFAULTS.installerDisk);
  return sizeText(Math.max(CLOUD_DISK, Math.ceil(imageInfo(cloudImage!).size / GiB) * GiB));
}

function diskSizeOf(text: string): number | null {
  if (text === 'none') return null;
  const size = bytesOf(text);
  if (size === null) throw new Error('expected a size such as 20G, or none');
  return size;
}

function wordsOf(text: string): string[] {
  return text === 'none' ? [] : text.split(/[\s,]+/).filter(word => word !== '');
}

function addressesOf(text: string): string[] {
  return wordsOf(text).map(checkAddress);
}
