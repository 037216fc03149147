import { statSync } from 'node:fs';
import { isFolder } from '../devices/backends/disk.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { FormField } from '../store/layers.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { attachRefusal } from '../view/attach-choices.ts';
import { type Action, NO_VM } from './action.ts';
import { openAttachForm } from './attach-form.ts';
import { filePath } from './complete-path.ts';
import type { Ui } from './ui.ts';

const FILE: FormField = {
  key: 'path',
  label: 'File',
  hint: 'a disk image, block device or folder; Tab completes the path',
  path: true,
};
const READ_ONLY: FormField = {
  key: 'readonly',
  label: 'Read-only',
  hint: 'Space turns it on and off: the guest cannot write to it',
  checkbox: true,
};
const FORMAT: FormField = {
  key: 'format',
  label: 'Format',
  hint: 'raw accepts any content; fat and fat32 make a FAT disk of a folder',
  choices: ['detect', 'raw', 'fat', 'fat32'],
};
/** Those that need no controller of the VM, and the types of disks on them. */
const TYPES: Readonly<Record<string, string>> = { virtio: 'virtio-blk', nvme: 'nvme' };
const BUS: FormField = {
  key: 'bus',
  label: 'Bus',
  hint: 'virtio is faster; nvme is for guests without virtio drivers',
  choices: Object.keys(TYPES),
};
type Value = (key: string) => string;

/** Why a VM cannot get a device now; null if it can. */
export function hotplugRefusal(vm: VmInfo): string | null {
  const refusal = attachRefusal(vm, []);
  if (refusal !== null || !isAlive(vm) || vm.topology?.places !== undefined) return refusal;
  return `${vm.name} was started by a version of vring without hot plug: V upgrades it`;
}

function pathProblem(value: Value): string | null {
  const text = value('path');
  if (text === '') return 'expected the path of an image file, a block device or a folder';
  const path = filePath(text);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return `${path} does not exist`;
  const format = value('format');
  if (found.isDirectory())
    return format === 'raw' ? `${path} is a folder: choose fat, fat32 or detect as its format` : null;
  return isFolder(format) ? `${path} is not a folder: choose detect or raw as its format` : null;
}

function isFolderDisk(value: Value): boolean {
  const path = filePath(value('path'));
  return value('path') !== '' && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

function diskDevice(value: Value): DeviceConfig {
  const [path, format] = [filePath(value('path')), value('format')];
  const isReadOnly = value('readonly') === 'yes';
  const type = TYPES[value('bus')]!;
  if (isFolderDisk(value))
    return {
      type,
      path,
      format: isFolder(format) ? format : 'fat',
      ...(isReadOnly ? { readonly: true } : { transient: true }),
    };
  return {
    type,
    path,
    ...(isReadOnly && { readonly: true }),
    ...(format === 'raw' && { format }),
  };
}

export function openDiskForm(ui: Ui, vm: VmInfo): void {
  openAttachForm(ui, vm, {
    what: 'a disk',
    fields: [FILE, READ_ONLY, FORMAT, BUS],
    defaults: { readonly: 'no', format: 'detect', bus: 'virtio' },
    main: 'path',
    problem: (value, key) => (key === 'path' ? pathProblem(value) : null),
    note: (value, key) =>
      key === 'readonly' && value('readonly') === 'no' && isFolderDisk(value)
        ? 'what the guest writes is lost with the disk: it does not return to the folder'
        : null,
    title: value => filePath(value('path')),
    device: diskDevice,
  });
}

export const attachDiskActions: readonly Action[] = [
  {
    name: 'attach-disk',
    category: 'Virtual machine',
    label: 'attach',
    phrase: 'attach a disk',
    description:
      'Attach a disk to a running VM, optionally also in its definition, or to the definition of one that is off',
    screens: ['vm'],
    here: ({ state, vm }) => vm !== null && vmViewOf(state, vm.id).tab === 'disks',
    bar: 39,
    changes: 'vm',
    unavailable: ({ vm }) => (vm === null ? NO_VM : hotplugRefusal(vm)),
    run: ({ ui, vm }) => openDiskForm(ui, vm!),
  },
];
