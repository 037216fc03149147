import { randomUUID } from 'node:crypto';
import { type CloneDisks, type ClonePlan, lockCopied, planClone } from '../definitions/change/clone.ts';
import { checkPlan } from '../definitions/create/carry-out.ts';
import { describeStep, disksFolder } from '../definitions/create/plan.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import { clonedVariables, managerPaths } from '../manager/paths.ts';
import { lockVm } from '../manager/vm-lock.ts';
import { carryOutPlan } from './carry-out-plan.ts';
import type { Ui } from './ui.ts';

/** Shows the steps of a clone, for each way to treat the disks, and carries out the chosen one. */
export async function planAndClone(ui: Ui, vm: VmInfo, name: string): Promise<void> {
  const text = await ui.engine.definition(vm.id);
  const { state } = managerPaths();
  const options = {
    folder: disksFolder(state),
    instanceId: randomUUID(),
    variables: clonedVariables(state, vm.name, name),
  };
  const plan = (disks: CloneDisks) => planClone(text, vm.name, name, { ...options, disks });
  const without = plan('none');
  const shared = plan('share');
  const hasDisks = without.text !== shared.text;
  const copy = hasDisks ? copyPlan(vm, () => plan('copy')) : shared;
  const body = [
    ...('problem' in copy ? [`The disks cannot be copied: ${copy.problem}.`] : remarks(copy)),
    ...(hasDisks ? ['', 'Shared, only one of the two VMs can run at a time.'] : []),
  ];
  const run = (plan: ClonePlan) => () => void ui.attempt(clone(ui, vm, name, plan));
  ui.choose(`Clone ${vm.name} as ${name}?`, body.join('\n'), [
    { label: 'Cancel' },
    ...('problem' in copy ? [] : [{ label: hasDisks ? 'Copy disks' : 'Clone', run: run(copy) }]),
    ...(hasDisks
      ? [
          { label: 'Share disks', run: run(shared) },
          { label: 'No disks', run: run(without) },
        ]
      : []),
  ]);
}

function copyPlan(vm: VmInfo, plan: () => ClonePlan): ClonePlan | { readonly problem: string } {
  if (isAlive(vm)) return { problem: `${vm.name} is ${vm.state}` };
  try {
    const copy = plan();
    const { problems } = checkPlan(copy);
    return problems.length === 0 ? copy : { problem: problems.join('; ') };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function remarks(plan: ClonePlan): string[] {
  return [
    ...plan.steps.map(step => `- ${describeStep(step)}`),
    '- save a definition with MAC addresses of its own, without autostart',
    ...[...plan.warnings, ...checkPlan(plan).warnings].map(warning => `- ${warning}`),
  ];
}

async function clone(ui: Ui, vm: VmInfo, name: string, plan: ClonePlan): Promise<void> {
  // Nothing may start the VM, or write to its disks, while they are copied.
  const copies = plan.steps.some(({ kind }) => kind === 'copy');
  const locks = copies ? [lockVm(vm.name), lockCopied(plan)] : [];
  try {
    await carryOutPlan(ui, `Cloning ${vm.name}`, plan);
  } finally {
    for (const lock of locks) lock.release();
  }
  ui.store.getState().selectVm(name);
  ui.notify('info', `${name} is a clone of ${vm.name}; S starts it`);
}
