import { randomUUID } from 'node:crypto';
import { type CloneDisks, lockCopied, planClone } from '../../definitions/change/clone.ts';
import { checkPlan } from '../../definitions/create/carry-out.ts';
import { CreateError } from '../../definitions/create/image-info.ts';
import { describeStep, disksFolder } from '../../definitions/create/plan.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { clonedVariables, managerPaths } from '../../manager/paths.ts';
import { lockVm } from '../../manager/vm-lock.ts';
import { printError } from '../../text/output.ts';
import { carryOutOnTerminal } from './create/create.ts';
import { reportDefined, requireFree } from './define.ts';
import { findVm } from './find.ts';
import type { VmList } from './vm-list.ts';

export type CloneVmOptions = {
  readonly disks: CloneDisks;
  readonly dryRun?: boolean;
  readonly json?: boolean;
};

/** Clones a VM. */
export async function cloneVm(
  vmList: VmList,
  name: string,
  newName: string,
  { disks, dryRun = false, json = false }: CloneVmOptions,
): Promise<void> {
  const vm = findVm(vmList.vms(), name);
  requireFree(vmList, newName, 'choose another name');
  const { state } = managerPaths();
  const plan = planClone(await vmList.definition(name), name, newName, {
    disks,
    folder: disksFolder(state),
    variables: clonedVariables(state, name, newName),
    instanceId: randomUUID(),
  });
  const steps = plan.steps.map(describeStep);
  const { problems, warnings } = checkPlan(plan);
  const copies = plan.steps.some(({ kind }) => kind === 'copy');
  if (copies && isAlive(vm))
    throw new Error(
      `${name} is ${vm.state}: shut it down to copy its disks, or use --disks share or --disks none`,
    );
  if (dryRun && !json) for (const step of steps) printError(`vring: ${step}`);
  for (const warning of [...plan.warnings, ...warnings]) printError(`vring: ${warning}`);
  if (problems.length > 0) throw new CreateError(problems.join('; '));
  if (!dryRun) {
    // While its disks are copied, nothing may start it or write to them.
    const locks = copies ? [lockVm(name), lockCopied(plan)] : [];
    try {
      await carryOutOnTerminal(vmList, plan, false);
    } finally {
      for (const lock of locks) lock.release();
    }
  }
  reportDefined(plan.definition, plan.text, { json, dryRun }, { clonedFrom: name, steps });
}
