import type { DeviceConfig } from '../devices/device-table.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { FormField, FormValues } from '../store/layers.ts';
import type { Ui } from './ui.ts';
import { openWorkingForm } from './working-form.ts';

const PERSIST: FormField = {
  key: 'persist',
  label: 'In definition',
  hint: 'Space turns it on and off: the VM has it at each start',
  checkbox: true,
};

/** A kind of device that a form attaches. */
export type AttachForm = {
  /** `a disk` */
  readonly what: string;
  readonly fields: readonly FormField[];
  readonly defaults: FormValues;
  /** The field at which failures are shown. */
  readonly main: string;
  /** What is wrong with a field, in a sentence; null if it is valid. */
  problem(value: (key: string) => string, key: string): string | null;
  /** A note about a valid field; null if there is none. */
  note?(value: (key: string) => string, key: string): string | null;
  /** @throws an error for the user */
  device(value: (key: string) => string): DeviceConfig;
  /** What is being attached, for the status line. */
  title(value: (key: string) => string): string;
};

/** Opens a form for a device, and attaches it. Failures are shown at its main field, and can be corrected. */
export function openAttachForm(ui: Ui, vm: VmInfo, asked: AttachForm): void {
  const runs = isAlive(vm);
  const { what, defaults, main } = asked;
  openWorkingForm(ui, {
    title: runs ? `Attach ${what} to ${vm.name}` : `Add ${what} to the definition of ${vm.name}`,
    button: runs ? 'Attach' : 'Add',
    done: runs ? 'attach' : 'add',
    fields: [...asked.fields, ...(runs && vm.defined ? [PERSIST] : [])],
    defaults: () => ({ [PERSIST.key]: 'no', ...defaults }),
    main,
    problem: (value, key) => asked.problem(value, key),
    note: (value, key) => asked.note?.(value, key) ?? null,
    run: async value => {
      ui.notify('info', `attaching ${asked.title(value)}`);
      return await attached(ui, vm, asked.device(value), value(PERSIST.key) === 'yes');
    },
  });
}

/** @returns the outcome, in a sentence */
async function attached(ui: Ui, vm: VmInfo, device: DeviceConfig, persist: boolean): Promise<string> {
  const { name, address, running, noticed } = await ui.engine.attach(vm.id, device, {
    persist,
    ...(isAlive(vm) && { running: true }),
  });
  if (!running) return `${name} is in the definition of ${vm.name}, for its next start`;
  const kept = persist ? ' and its definition' : '';
  const place = address === null ? '' : `, at ${address}`;
  return `${name} is in ${vm.name}${kept}${noticed ? place : '; its guest has no hotplug driver yet'}`;
}
