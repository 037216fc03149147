import path from 'node:path';
import { macAddress } from '../../engine/networks/mac-address.ts';
import { sizeText } from '../../text/size.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import type { DiskInput } from '../fields/disks.ts';
import { keyProblems } from '../issues.ts';
import { keyPath } from '../key-path.ts';
import { type Definition, type DefinitionInput, definition } from '../schema.ts';
import { type NotYet, notYet } from '../to-machine.ts';
import { shown } from '../words.ts';
import { writeDefinition } from '../write.ts';
import { type CloudNetwork, type CloudUser, hostnameOf, seedFiles } from './cloud-seed.ts';
import { CreateError, type ImageInfo } from './image-info.ts';

/** What a new VM starts from. */
export type NewVmSource =
  /** An installer on a CD image. */
  | { readonly kind: 'installer'; readonly image: ImageInfo }
  /** An installed system that cloud-init sets up. */
  | {
      readonly kind: 'cloud';
      readonly image: ImageInfo;
      /** The guest's; default: derived from the VM's name. */
      readonly hostname?: string;
      readonly user: CloudUser;
      readonly network: CloudNetwork;
    }
  | { readonly kind: 'kernel'; readonly kernel: string; readonly initrd?: string; readonly append?: string };

/** What the user is asked for a new VM. */
export type NewVm = {
  readonly name: string;
  readonly source: NewVmSource;
  /** Size of the disk in bytes; null for none, which only a kernel can do without. */
  readonly diskSize: number | null;
  /** The disk's; default: raw. A qcow2 disk from a cloud image is an overlay, which keeps needing the image. */
  readonly diskFormat?: 'raw' | 'qcow2';
  /** Other keys of the definition, except those that follow from `source`. */
  readonly more?: Omit<DefinitionInput, 'name' | 'disks' | 'boot'>;
};

/** Something to create before the definition is saved. */
export type CreateStep =
  /** A sparse raw disk. */
  | { readonly kind: 'disk'; readonly file: string; readonly size: number }
  /** A qcow2 disk. `backing`: the image that provides what is not written yet; null if none. */
  | {
      readonly kind: 'qcow2';
      readonly file: string;
      readonly size: number;
      readonly backing: ImageInfo | null;
    }
  /** A raw disk with the content of an image, grown to `size`. */
  | { readonly kind: 'fill'; readonly file: string; readonly size: number; readonly from: ImageInfo }
  /** A copy of a file, with its holes, that shares blocks where the file system supports it. */
  | { readonly kind: 'copy'; readonly file: string; readonly size: number; readonly from: string }
  /** A small image with the label CIDATA. */
  | { readonly kind: 'seed'; readonly file: string; readonly files: Readonly<Record<string, string>> };

export type NewVmPlan = {
  readonly definition: Definition;
  /** Saved after the steps. */
  readonly text: string;
  readonly steps: readonly CreateStep[];
  /** What prevents it from starting. */
  readonly notYet: readonly NotYet[];
};

/** The folder for new disks, in vring's state folder. */
export function disksFolder(state: string): string {
  return path.join(state, 'disks');
}

/**
 * The steps that create a new VM. Neither changes nor checks anything yet.
 * @param folder for the new disks
 * @param instanceId new for each VM (randomUUID)
 * @throws CreateError
 */
export function planNewVm(vm: NewVm, folder: string, instanceId: string): NewVmPlan {
  // It becomes part of file names.
  if (!VM_NAME.pattern.test(vm.name))
    throw new CreateError(`${shown(vm.name)} cannot be the name of a VM: expected ${VM_NAME.rule}`);
  const { diskSize, source, name } = vm;
  if (diskSize !== null && (diskSize < 2 ** 20 || diskSize % 512 !== 0)) {
    throw new CreateError('expected a disk size of at least 1M and a multiple of 512 bytes');
  }
  const disk = path.join(folder, `${name}.${vm.diskFormat === 'qcow2' ? 'qcow2' : 'img'}`);
  switch (source.kind) {
    case 'installer':
      return planInstaller(vm, source.image, disk);
    case 'cloud':
      return planCloud(vm, source, disk, path.join(folder, `${name}-seed.iso`), instanceId);
    case 'kernel': {
      const { kind: _, ...machine } = source;
      const steps = diskSize === null ? [] : [emptyDisk(vm, disk, diskSize)];
      const all = { ...vm.more?.machine, ...machine };
      return finish(
        vm,
        { machine: all, disks: steps.map(({ file }) => newDisk(file, vm.diskFormat)) },
        steps,
      );
    }
  }
}

/** With an explicit format: what the guest writes must never decide how the disk is read. */
function newDisk(file: string, format: NewVm['diskFormat'] = 'raw'): DiskInput {
  return { file, format };
}

function emptyDisk({ diskFormat }: NewVm, file: string, size: number): CreateStep {
  return diskFormat === 'qcow2' ? { kind: 'qcow2', file, size, backing: null } : { kind: 'disk', file, size };
}

function planInstaller(vm: NewVm, image: ImageInfo, disk: string): NewVmPlan {
  if (image.format !== 'iso')
    throw new CreateError(`${image.file} is not a CD image: name the .iso file of the installer`);
  if (vm.diskSize === null)
    throw new CreateError('an installer needs a disk to install to: give a size, such as 20G');
  // The firmware skips a disk without a system, so that the installer boots until it is done.
  return finish(
    vm,
    {
      disks: [newDisk(disk, vm.diskFormat), { file: image.file, cdrom: true }],
      boot: { order: ['disk', 'cdrom'] },
    },
    [emptyDisk(vm, disk, vm.diskSize)],
  );
}

function planCloud(
  vm: NewVm,
  { image, hostname = hostnameOf(vm.name), user, network }: Extract<NewVmSource, { kind: 'cloud' }>,
  disk: string,
  seed: string,
  instanceId: string,
): NewVmPlan {
  if (image.format === 'iso')
    throw new CreateError(`${image.file} is a CD image: create the VM from an installer`);
  if (image.needsOthers) {
    throw new CreateError(
      `${image.file} is only part of a disk; the rest is in other files that it refers to: give a complete image`,
    );
  }
  const size = vm.diskSize ?? Math.ceil(image.size / 512) * 512;
  if (size < image.size) {
    throw new CreateError(
      `${image.file} holds a disk of ${sizeText(image.size)}: expected a disk size of at least that, not ${sizeText(size)}`,
    );
  }
  const nics = (vm.more?.nics ?? [{}]).map((nic, index) =>
    index === 0 ? { ...nic, mac: nic.mac ?? macAddress(vm.name, 0) } : nic,
  );
  const mac = nics[0]?.mac;
  if (mac === undefined && network.kind === 'static')
    throw new CreateError(`${network.address} would be the address of no network card: give the VM one`);
  const files = seedFiles({
    hostname,
    instanceId,
    user,
    network: mac === undefined ? null : { ...network, mac },
  });
  return finish(
    vm,
    {
      disks: [newDisk(disk, vm.diskFormat), { ...newDisk(seed), readonly: true }],
      nics,
    },
    [
      vm.diskFormat === 'qcow2'
        ? { kind: 'qcow2', file: disk, size, backing: image }
        : { kind: 'fill', file: disk, size, from: image },
      { kind: 'seed', file: seed, files },
    ],
  );
}

function finish(vm: NewVm, own: Partial<DefinitionInput>, steps: readonly CreateStep[]): NewVmPlan {
  const input: DefinitionInput = { ...vm.more, name: vm.name, ...own };
  const parsed = definition.safeParse(input, { reportInput: true });
  if (!parsed.success) {
    const problems = keyProblems(parsed.error.issues, input);
    throw new CreateError(problems.map(({ path: key, message }) => `${keyPath(key)}: ${message}`).join('; '));
  }
  return { definition: parsed.data, text: writeDefinition(parsed.data), steps, notYet: notYet(parsed.data) };
}

/** A step in words, for the confirmation prompt. */
export function describeStep(step: CreateStep): string {
  switch (step.kind) {
    case 'disk':
      return `create the disk ${step.file}, ${sizeText(step.size)} (sparse: it takes space as the guest writes)`;
    case 'qcow2': {
      const over = step.backing === null ? '' : `, over ${step.backing.file}, which must stay as it is`;
      return `create the qcow2 disk ${step.file}, ${sizeText(step.size)}${over}`;
    }
    case 'fill':
      return `create the disk ${step.file}, ${sizeText(step.size)}, from ${step.from.file}`;
    case 'copy':
      return `copy the disk ${step.from} to ${step.file}`;
    case 'seed':
      return `create ${step.file} with the user and the network, for cloud-init`;
  }
}
