import { existsSync } from 'node:fs';
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
  hint: 'a raw image or a block device of the host; Tab completes the path',
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
  hint: 'detect only accepts what looks like a raw disk; raw accepts anything',
  choices: ['detect', 'raw'],
};
/** Why a VM cannot get a device now; null if it can. */
export function hotplugRefusal(vm: VmInfo): string | null {
  const refusal = attachRefusal(vm, []);
  if (refusal !== null || !isAlive(vm) || vm.topology?.places !== undefined) return refusal;
  return `${vm.name} was started by a version of vring without hot plug: V upgrades it`;
}

function pathProblem(text: string): string | null {
  if (text === '') return 'expected the path of an image file or a block device';
  const path = filePath(text);
  return existsSync(path) ? null : `${path} does not exist`;
}

export function openDiskForm(ui: Ui, vm: VmInfo): void {
  openAttachForm(ui, vm, {
    what: 'a disk',
    fields: [FILE, READ_ONLY, FORMAT],
    defaults: { readonly: 'no', format: 'detect' },
    main: 'path',
    problem: (value, key) => (key === 'path' ? pathProblem(value) : null),
    title: value => filePath(value('path')),
    device: value => ({
      type: 'virtio-blk',
      path: filePath(value('path')),
      ...(value('readonly') === 'yes' && { readonly: true }),
      ...(value('format') === 'raw' && { format: 'raw' }),
    }),
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
