import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive, isUp, notSavable } from '../engine/vm-info.ts';
import { type Choice, type Question, suggestedText } from '../store/layers.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { bytes } from '../text/units.ts';
import { snapshotAtCursor, titleOf } from '../view/snapshot-rows.ts';
import { describeTask, TASK_TITLES } from '../view/vm-task.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';
import { actionOnVms } from './vm-action.ts';

/** Why a VM's state cannot be saved now; null if it can. */
function notKept(vm: VmInfo): string | null {
  if (vm.task !== undefined) return `${vm.name} is busy; W cancels that`;
  return isUp(vm) ? notSavable(vm) : `${vm.name} is ${vm.state}`;
}

/** Reports the outcome of a long operation. */
function report(ui: Ui, begun: string, something: Promise<string>): void {
  ui.notify('info', begun);
  void ui.attempt(something.then(text => ui.notify('info', text)));
}

function take(ui: Ui, vm: VmInfo, name: string): void {
  const run = (disks: boolean) => () =>
    report(
      ui,
      `taking snapshot ${name} of ${vm.name}`,
      ui.engine
        .snapshot(vm.id, { name, disks })
        .then(info => `snapshot ${info.name} of ${vm.name} taken: ${bytes(info.bytes)}`),
    );
  const hasDisks = vm.topology?.devices.some(({ backend }) => backend === 'disk') ?? false;
  if (!hasDisks) {
    run(false)();
    return;
  }
  ui.choose(
    `Snapshot ${name} of ${vm.name}: copy its disks?`,
    'The VM is stopped in the meantime. Without its disks, the snapshot fits until they are written to.',
    [{ label: 'Cancel' }, { label: 'Copy disks', run: run(true) }, { label: 'Memory only', run: run(false) }],
  );
}

function askForSnapshotName(ui: Ui, vm: VmInfo): void {
  ui.clearNotice();
  ui.store.getState().pushLayer({
    kind: 'prompt',
    prompt: `Snapshot of ${vm.name}, name`,
    ...suggestedText(suggestion(vm)),
    inRowOf: null,
    range: null,
    submit: name => {
      if (vm.snapshots?.includes(name)) throw new Error(`there is already a snapshot named ${name}`);
      take(ui, vm, name);
    },
  });
}

/** `snapshot-3`. */
function suggestion({ snapshots = [] }: VmInfo): string {
  for (let number = snapshots.length + 1; ; number++) {
    const name = `snapshot-${number}`;
    if (!snapshots.includes(name)) return name;
  }
}

function restore(ui: Ui, { state, vm }: ActionContext): void {
  const info = snapshotAtCursor(state, vm!.id)!;
  const name = info.name!;
  const alive = isAlive(vm!) || vm!.saved !== undefined;
  const back = () =>
    report(
      ui,
      `restoring ${vm!.name} from ${name}`,
      ui.engine.restore(vm!.id, name, { force: alive }).then(() => `${vm!.name} was restored from ${name}`),
    );
  const asNew = () =>
    ui.store.getState().pushLayer({
      kind: 'prompt',
      prompt: `New VM from ${name}, name`,
      ...suggestedText(`${vm!.name}-2`),
      inRowOf: null,
      range: null,
      submit: as => {
        if (!VM_NAME.pattern.test(as)) throw new Error(`expected ${VM_NAME.rule}`);
        if (as in ui.store.getState().infos) throw new Error(`there is already a VM named ${as}`);
        const restored = ui.engine.restore(vm!.id, name, { as });
        report(
          ui,
          `restoring ${as} from ${name}`,
          restored.then(() => `${as} continues from ${name}`),
        );
      },
    });
  const lost = [
    ...(alive ? [`The present memory of ${vm!.name} is lost.`] : []),
    ...(info.disks === 'copied'
      ? ['The present contents of its disks are lost: they get those of the snapshot.']
      : []),
  ];
  const choices: readonly Choice[] = [
    { label: 'Cancel' },
    { label: 'Restore', run: back },
    { label: 'As a new VM', run: asNew },
  ];
  ui.choose(`Restore ${vm!.name} from ${name}?`, lost.join('\n') || 'It resumes where it was then.', choices);
}

/** Canceling an operation needs confirmation; null if there is none in progress. */
function cancelQuestion({ name, task }: VmInfo): Question | null {
  if (task === undefined) return null;
  return {
    title: `Cancel the ${TASK_TITLES[task.kind]} of ${name}?`,
    body: `It is ${describeTask(task)}. The VM continues as it was.`,
    verb: 'Cancel it',
  };
}

function onTab({ state, vm }: ActionContext): boolean {
  return vm !== null && vmViewOf(state, vm.id).tab === 'snapshots';
}

const save = actionOnVms({
  name: 'save',
  label: 'save',
  description: 'Save the state of the VM to disk and end it; its next start continues from there',
  verb: 'Save',
  refusal: notKept,
  act: (engine, id) => engine.save(id),
  begun: who => `saving ${who}`,
  done: who => `saved ${who}; S resumes from there`,
});

/** Actions that save the state of a VM, and restore it. */
export const snapshotActions: readonly Action[] = [
  {
    name: 'snapshot',
    category: 'Virtual machine',
    label: 'snapshot',
    phrase: 'take a snapshot',
    description:
      'Take a snapshot of a running or paused VM, optionally with its disks; cancel one in progress',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      return vm.task === undefined ? notKept(vm) : null;
    },
    confirm: ({ vm }) => cancelQuestion(vm!),
    run: ({ ui, vm }) =>
      vm!.task === undefined ? askForSnapshotName(ui, vm!) : ui.engine.cancelTask(vm!.id),
  },
  save,
  {
    name: 'restore',
    category: 'Virtual machine',
    label: 'restore',
    phrase: 'restore the snapshot',
    description: 'Restore the VM from the snapshot under the cursor, or create a new VM from it',
    screens: ['vm'],
    here: onTab,
    bar: 53,
    changes: 'vm',
    unavailable: ({ state, vm }) => {
      const info = snapshotAtCursor(state, vm!.id);
      if (info === null) return 'there is no snapshot here';
      if (info.name === null) return `${vm!.name} resumes from its saved state when it is started`;
      if (vm!.task !== undefined) return `${vm!.name} is busy; W cancels that`;
      return info.problems.length === 0 ? null : `it does not fit: ${info.problems.join('; ')}`;
    },
    run: context => restore(context.ui, context),
  },
  {
    name: 'delete-snapshot',
    category: 'Virtual machine',
    label: 'delete snapshot',
    phrase: 'delete the snapshot',
    description: 'Delete the snapshot under the cursor, or discard the saved state',
    screens: ['vm'],
    here: onTab,
    bar: 54,
    changes: 'vm',
    unavailable: ({ state, vm }) =>
      snapshotAtCursor(state, vm!.id) === null ? 'there is no snapshot here' : null,
    dangerous: ({ state, vm }) => {
      const info = snapshotAtCursor(state, vm!.id)!;
      return {
        title: `Delete ${titleOf(info)} of ${vm!.name}?`,
        body:
          info.name === null
            ? 'What the guest had in memory is lost: its next start boots.'
            : 'It cannot be brought back.',
        verb: 'Delete',
      };
    },
    run: async ({ ui, state, vm }) => {
      const info = snapshotAtCursor(state, vm!.id)!;
      await ui.engine.deleteSnapshot(vm!.id, info.name);
      ui.notify('info', `deleted ${titleOf(info)} of ${vm!.name}`);
    },
  },
];
