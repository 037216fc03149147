import type { MigrateOptions } from '../engine/migration/migration-info.ts';
import { DEFAULT_DOWNTIME_MS } from '../engine/migration/migration-info.ts';
import { isUp, notSavable, type VmInfo } from '../engine/vm-info.ts';
import { type Form, type FormField, type FormValues, formLayer } from '../store/layers.ts';
import { bytesOf } from '../text/size.ts';
import { describeTask } from '../view/vm-task.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type Action, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

const FIELDS: readonly FormField[] = [
  { key: 'host', label: 'Host', hint: '[user@]host or ssh://[user@]host[:port], with vring' },
  { key: 'as', label: 'Name there', hint: 'letters, digits, ".", "_" and "-"' },
  {
    key: 'bandwidth',
    label: 'Bandwidth',
    hint: 'per second while the guest runs, such as 100M, or unlimited',
  },
  { key: 'downtime', label: 'Downtime', hint: 'milliseconds that the guest may stand still' },
  { key: 'keep', label: 'Keep', hint: 'Space turns it on and off: keep the definition here', checkbox: true },
];

const UNLIMITED = 'unlimited';

function problemOf(key: string, value: string): string | null {
  switch (key) {
    case 'host':
      return value === '' || /\s/.test(value) || value.startsWith('-') ? 'expected the name of a host' : null;
    case 'as':
      return VM_NAME.pattern.test(value) ? null : `expected ${VM_NAME.rule}`;
    case 'bandwidth':
      return value === UNLIMITED || bytesOf(value) !== null
        ? null
        : 'expected a size such as 100M, or unlimited';
    case 'downtime':
      return /^\d{1,7}$/.test(value) && Number(value) > 0 ? null : 'expected milliseconds, such as 300';
    default:
      return null;
  }
}

function optionsOf(vm: VmInfo, value: (key: string) => string): MigrateOptions {
  const { SSH_AUTH_SOCK: sshAgent } = process.env;
  const bandwidth = value('bandwidth');
  return {
    destination: value('host'),
    ...(sshAgent && { sshAgent }),
    ...(value('as') !== vm.name && { as: value('as') }),
    ...(bandwidth !== UNLIMITED && { bandwidth: bytesOf(bandwidth)! }),
    maxDowntimeMs: Number(value('downtime')),
    ...(value('keep') === 'yes' && { keep: true }),
  };
}

/** Asks where to, and begins. The VM's list row and header show the progress. */
function openMigrationForm(ui: Ui, vm: VmInfo): void {
  const defaults: FormValues = {
    host: '',
    as: vm.name,
    bandwidth: UNLIMITED,
    downtime: String(DEFAULT_DOWNTIME_MS),
    keep: 'no',
  };
  const valueIn = (values: FormValues) => (key: string) => (values[key] ?? defaults[key] ?? '').trim();
  const form: Form = {
    title: `Move ${vm.name} to another host`,
    button: 'Migrate',
    done: 'migrate',
    fields: () => FIELDS,
    value: (values, { key }) => values[key] ?? defaults[key] ?? '',
    problem: (values, { key }) => problemOf(key, valueIn(values)(key)),
    note: (values, { key }) => (key === 'host' ? noteOf(valueIn(values)('host')) : null),
    changed: () => {},
    submit: values => {
      ui.store.setState(({ layers }) => ({
        layers: layers.filter(layer => layer.kind !== 'form' || layer.form !== form),
      }));
      begin(ui, vm, optionsOf(vm, valueIn(values)));
    },
    leave: () => {},
  };
  ui.clearNotice();
  ui.store.getState().pushLayer(formLayer(form, {}));
}

function noteOf(host: string): string | null {
  return host === '' ? null : 'its disks must be on storage that both hosts share';
}

function begin(ui: Ui, vm: VmInfo, options: MigrateOptions): void {
  ui.notify('info', `migrating ${vm.name} to ${options.destination}`);
  const migrated = ui.engine.migrate(vm.id, options);
  void ui.attempt(
    migrated.then(({ name, destination, downtimeMs }) =>
      ui.notify(
        'info',
        `${name} runs on ${destination} now; its guest stood still for ${Math.round(downtimeMs)} ms`,
      ),
    ),
  );
}

/** The action that moves a VM to another host, or cancels that. */
export const migrationActions: readonly Action[] = [
  {
    name: 'migrate',
    category: 'Virtual machine',
    label: 'migrate',
    phrase: 'move the VM to another host',
    description: 'Move a running or paused VM to another host; cancel a migration in progress',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      if (vm.task?.kind === 'migrate') return null;
      if (vm.task !== undefined) return `${vm.name} is busy; W cancels that`;
      return isUp(vm) ? notSavable(vm) : `${vm.name} is ${vm.state}`;
    },
    confirm: ({ vm }) =>
      vm?.task?.kind === 'migrate'
        ? {
            title: `Cancel the migration of ${vm.name}?`,
            body: `It is at: ${describeTask(vm.task)}. The VM keeps running on this host.`,
            verb: 'Cancel it',
          }
        : null,
    run: ({ ui, vm }) => (vm!.task === undefined ? openMigrationForm(ui, vm!) : ui.engine.cancelTask(vm!.id)),
  },
];
