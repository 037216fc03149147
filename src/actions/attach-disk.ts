import { existsSync } from 'node:fs';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import { type Form, type FormField, type FormValues, formLayer } from '../store/layers.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { attachRefusal } from '../view/attach-choices.ts';
import { type Action, NO_VM } from './action.ts';
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
  hint: 'detect takes only what looks like a raw disk; raw takes it as it is',
  choices: ['detect', 'raw'],
};
const PERSIST: FormField = {
  key: 'persist',
  label: 'In definition',
  hint: 'Space turns it on and off: the VM has it at each start',
  checkbox: true,
};

const DEFAULTS: FormValues = { path: '', readonly: 'no', format: 'detect', persist: 'no' };

function given(values: FormValues, key: string): string {
  return values[key] ?? DEFAULTS[key]!;
}

function refusal(vm: VmInfo): string | null {
  const refusal = attachRefusal(vm, []);
  if (refusal !== null || !isAlive(vm) || vm.topology?.places !== undefined) return refusal;
  return `${vm.name} was started by a vring whose devices do not come and go: V upgrades it`;
}

function pathProblem(text: string): string | null {
  if (text === '') return 'expected the path of an image file or a block device';
  const path = filePath(text);
  return existsSync(path) ? null : `${path} does not exist`;
}

/** Asks for a disk, and attaches it. What fails is said at the file, and can be corrected. */
export function openDiskForm(ui: Ui, vm: VmInfo): void {
  const runs = isAlive(vm);
  const fields = [FILE, READ_ONLY, FORMAT, ...(runs && vm.defined ? [PERSIST] : [])];
  /** What went wrong with the values as they are. */
  let failure: string | null = null;
  let isBusy = false;
  const form: Form = {
    title: runs ? `Attach a disk to ${vm.name}` : `Add a disk to the definition of ${vm.name}`,
    button: runs ? 'Attach' : 'Add',
    done: runs ? 'attach' : 'add',
    fields: () => fields,
    value: (values, { key }) => given(values, key),
    problem: (values, { key }) => (key === 'path' ? pathProblem(given(values, key).trim()) : null),
    // It may be right by now: it does not keep anybody from trying again.
    note: (_, { key }) => (key === 'path' ? failure : null),
    changed: () => {
      failure = null;
    },
    submit: values => {
      if (!isBusy) void attach(values);
    },
    leave: () => {},
  };
  const attach = async (values: FormValues) => {
    isBusy = true;
    try {
      const text = await attached(ui, vm, values);
      ui.store.setState(({ layers }) => ({
        layers: layers.filter(layer => layer.kind !== 'form' || layer.form !== form),
      }));
      ui.notify('info', text);
    } catch (error) {
      failure = (error as Error).message;
      ui.notify('error', failure);
      const top = ui.store.getState().layers.at(-1);
      if (top?.kind === 'form' && top.form === form)
        ui.store.getState().changeLayer(formLayer(form, top.values, 0, true));
    } finally {
      isBusy = false;
    }
  };
  ui.store.getState().pushLayer(formLayer(form, {}));
}

/** @returns what has become of it, in a sentence */
async function attached(ui: Ui, vm: VmInfo, values: FormValues): Promise<string> {
  const path = filePath(given(values, 'path').trim());
  const persist = given(values, 'persist') === 'yes';
  const disk = {
    type: 'virtio-blk',
    path,
    ...(given(values, 'readonly') === 'yes' && { readonly: true }),
    ...(given(values, 'format') === 'raw' && { format: 'raw' }),
  };
  ui.notify('info', `attaching ${path}`);
  const { name, address, running, noticed } = await ui.engine.attach(vm.id, disk, {
    persist,
    ...(isAlive(vm) && { running: true }),
  });
  if (!running) return `${name} is in the definition of ${vm.name}, which has it at its next start`;
  const kept = persist ? ' and its definition' : '';
  const place = address === null ? '' : `, at ${address}`;
  return `${name} is in ${vm.name}${kept}${noticed ? place : '; its guest has no hotplug driver yet'}`;
}

export const attachDiskActions: readonly Action[] = [
  {
    name: 'attach-disk',
    category: 'Virtual machine',
    label: 'attach',
    phrase: 'attach a disk',
    description:
      'Attach a disk: plugged into a VM that runs, and into its definition if wanted; of a VM that is off, into its definition',
    screens: ['vm'],
    here: ({ state, vm }) => vm !== null && vmViewOf(state, vm.id).tab === 'disks',
    bar: 39,
    changes: 'vm',
    unavailable: ({ vm }) => (vm === null ? NO_VM : refusal(vm)),
    run: ({ ui, vm }) => openDiskForm(ui, vm!),
  },
];
