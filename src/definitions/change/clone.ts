import fs from 'node:fs';
import path from 'node:path';
import { isOnlyRead } from '../../devices/backends/disk.ts';
import { deviceTable } from '../../devices/registry.ts';
import { macAddress } from '../../engine/networks/mac-address.ts';
import { lockDisk } from '../../vmm/backends/disk-lock.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { hostnameOf } from '../create/cloud-seed.ts';
import { CreateError, imageInfo } from '../create/image-info.ts';
import type { CreateStep, NewVmPlan } from '../create/plan.ts';
import { readDefinition } from '../read.ts';
import type { Definition } from '../schema.ts';
import { notYet } from '../to-machine.ts';
import { shown } from '../words.ts';
import { yaml11 } from '../yaml-for-others.ts';
import { YamlText } from '../yaml-text.ts';
import { changeKeys, type KeyChange } from './change-text.ts';
import { isSeedImage, readSeedImage } from './read-seed.ts';

/** What to do with writable disks. Read-only disks are always shared. */
const CLONE_DISKS = ['copy', 'share', 'none'] as const;
export type CloneDisks = (typeof CLONE_DISKS)[number];

export type CloneOptions = {
  readonly disks: CloneDisks;
  /** For the new disks. */
  readonly folder: string;
  /** Files with the UEFI variables of the VM and of the clone; absent if the VM has none of its own. */
  readonly variables?: { readonly from: string; readonly to: string };
  /** New for each clone (randomUUID), so that cloud-init sets the clone up as a new machine. */
  readonly instanceId: string;
};

export type ClonePlan = NewVmPlan & {
  /** What the user should know beforehand. */
  readonly warnings: readonly string[];
};

type DiskEntry = {
  readonly path: readonly (string | number)[];
  readonly file: string;
  readonly writable: boolean;
};

/**
 * The steps that clone a VM: another name, other MAC addresses, its own disks, and a cloud-init seed with a new
 * instance ID. Changes nothing. @throws CreateError, DefinitionError
 */
export function planClone(
  text: string,
  source: string,
  name: string,
  { disks, folder, instanceId, variables }: CloneOptions,
): ClonePlan {
  if (!VM_NAME.pattern.test(name))
    throw new CreateError(`${shown(name)} cannot be the name of a VM: expected ${VM_NAME.rule}`);
  const file = `${source}.yaml`;
  const original = readDefinition(text, { file, name: source });
  const entries = diskEntries(original);
  const steps: CreateStep[] = [];
  const changes: KeyChange[] = [{ path: ['name'], value: name }];
  const removed: KeyChange[] = passedDevices(original).map(({ index }) => ({
    path: ['devices', index],
    value: undefined,
  }));
  for (const entry of entries) {
    if (entry.writable && disks === 'none') {
      removed.push({ path: entry.path.slice(0, -1), value: undefined });
    } else if (entry.writable && disks === 'copy') {
      const step = copyStep(entry.file, newFile(folder, name, entry.file, steps));
      steps.push(step);
      changes.push({ path: entry.path, value: step.file });
    } else if (!entry.writable && isSeedImage(entry.file)) {
      const step = seedStep(entry.file, path.join(folder, `${name}-seed.iso`), original, name, instanceId);
      steps.push(step);
      changes.push({ path: entry.path, value: step.file });
    }
  }
  const given = original.machine['firmware-variables'];
  if (given !== undefined && disks !== 'share')
    changes.push({ path: ['machine', 'firmware-variables'], value: undefined });
  const from = given ?? variables?.from;
  if (
    disks === 'copy' &&
    original.machine.firmware === 'uefi' &&
    variables !== undefined &&
    from !== undefined
  )
    if (fs.existsSync(from))
      steps.push({ kind: 'copy', file: variables.to, size: fs.statSync(from).size, from });
  original.nics.forEach(({ mac }, index) => {
    if (mac !== undefined) changes.push({ path: ['nics', index, 'mac'], value: undefined });
  });
  if (original.passthrough.length > 0) changes.push({ path: ['passthrough'], value: undefined });
  if (original.autostart) changes.push({ path: ['autostart'], value: undefined });
  const cloned = changeKeys(text, file, [...changes, ...removed.sort(lastFirst)]);
  const definition = readDefinition(cloned, { file: `${name}.yaml`, name });
  return {
    definition,
    text: cloned,
    steps,
    notYet: notYet(definition),
    warnings: warnings(original, name, disks, entries),
  };
}

/** Removing an entry of a list moves those after it. */
function lastFirst(a: KeyChange, b: KeyChange): number {
  return Number(b.path[1]) - Number(a.path[1]);
}

/** The entries of `devices` that pass through a host function. */
function passedDevices({ devices }: Definition): { readonly index: number; readonly host: unknown }[] {
  const type = deviceTable.typeOfKey('passthrough');
  return devices.flatMap((device, index) =>
    device.type === type ? [{ index, host: device.host ?? device.sysfsdev }] : [],
  );
}

function diskEntries({ disks, devices }: Definition): DiskEntry[] {
  return [
    ...disks.flatMap(({ file, cdrom, readonly, transient }, index) =>
      file === undefined
        ? []
        : [{ path: ['disks', index, 'file'], file, writable: !cdrom && !readonly && !transient }],
    ),
    ...devices.flatMap((device, index) => {
      const disk = deviceTable.disk(device);
      return disk === null
        ? []
        : [{ path: ['devices', index, 'path'], file: disk.path, writable: !isOnlyRead(disk) }];
    }),
  ];
}

/** `clone.img`, then `clone-2.img`, with the extension of the original. */
function newFile(folder: string, name: string, from: string, steps: readonly CreateStep[]): string {
  const copies = steps.filter(({ kind }) => kind === 'copy').length;
  return path.join(folder, `${name}${copies === 0 ? '' : `-${copies + 1}`}${path.extname(from) || '.img'}`);
}

function copyStep(from: string, to: string): CreateStep {
  const stats = fs.statSync(from, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new CreateError(
      `the disk ${from} does not exist: correct its path in the definition, or clone with --disks none`,
    );
  if (!stats.isFile())
    throw new CreateError(
      `${from} is not a regular file: copy it yourself, or leave it out with --disks none`,
    );
  if (imageInfo(from).needsOthers && path.dirname(from) !== path.dirname(to)) {
    throw new CreateError(
      `${from} is only part of a disk; the rest is in other files that it refers to: copy it yourself, or leave it out with --disks none`,
    );
  }
  return { kind: 'copy', file: to, size: stats.size, from };
}

/** The same seed for another machine: with a new instance ID, host name and MAC addresses. */
function seedStep(
  from: string,
  to: string,
  original: Definition,
  name: string,
  instanceId: string,
): CreateStep {
  const { 'meta-data': metaData = '', ...files } = readSeedImage(from);
  const meta = { ...(new YamlText(metaData, `${from}: meta-data`).value as object | null) } as Record<
    string,
    unknown
  >;
  const hostname =
    meta['local-hostname'] === hostnameOf(original.name) ? { 'local-hostname': hostnameOf(name) } : {};
  let network = files['network-config'];
  original.nics.forEach(({ mac }, index) => {
    const before = mac ?? macAddress(original.name, index);
    network = network?.replaceAll(new RegExp(before, 'gi'), macAddress(name, index));
  });
  return {
    kind: 'seed',
    file: to,
    files: {
      'meta-data': yaml11({ ...meta, 'instance-id': instanceId, ...hostname }),
      ...files,
      ...(network !== undefined && { 'network-config': network }),
    },
  };
}

function warnings(
  original: Definition,
  name: string,
  disks: CloneDisks,
  entries: readonly DiskEntry[],
): string[] {
  const { name: source, passthrough } = original;
  const passed = [...passthrough, ...passedDevices(original)];
  const shared = disks === 'share' ? entries.filter(({ writable }) => writable) : [];
  return [
    ...shared.map(({ file }) => `${source} and ${name} share ${file}: only one of them can run at a time`),
    ...passed.map(
      ({ host }) =>
        `${name} does not get ${host}, which ${source} has: give it another device with vring vm edit ${name}`,
    ),
  ];
}

/**
 * Locks the disks that a plan copies against writers.
 * @returns a handle that releases them
 * @throws DiskError naming the writer of a disk
 */
export function lockCopied({ steps }: NewVmPlan): { release(): void } {
  const fds: number[] = [];
  const release = () => {
    for (const fd of fds) fs.closeSync(fd);
  };
  try {
    for (const step of steps) {
      if (step.kind !== 'copy') continue;
      const fd = fs.openSync(step.from, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      fds.push(fd);
      lockDisk(fd, step.from, true);
    }
  } catch (error) {
    release();
    throw error;
  }
  return { release };
}
