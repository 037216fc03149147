import { randomUUID } from 'node:crypto';
import { carryOut, checkPlan } from '../../../definitions/create/carry-out.ts';
import { CreateError } from '../../../definitions/create/image-info.ts';
import { type CreateOptions, describing, newVmOf } from '../../../definitions/create/new-vm.ts';
import {
  describeStep,
  disksFolder,
  type NewVm,
  type NewVmPlan,
  planNewVm,
} from '../../../definitions/create/plan.ts';
import { managerPaths } from '../../../manager/paths.ts';
import { printError } from '../../../text/output.ts';
import { percent } from '../../../text/units.ts';
import { UsageError } from '../../../text/usage-error.ts';
import { endingSignal } from '../../ending-signal.ts';
import { qemuMachine, reportLeftOut, reportMissingFeatures } from '../../qemu-machine.ts';
import { confirm, requirePrompt } from '../ask.ts';
import { type DefineOptions, defineVm, reportDefined, requireFree } from '../define.ts';
import { Progress } from '../progress.ts';
import { sharedDevices } from '../shared-devices.ts';
import type { VmList } from '../vm-list.ts';

/** Creates a VM: its definition and its disks. @param qemu QEMU options that describe it */
export async function createVm(
  vmList: VmList,
  name: string | undefined,
  qemu: readonly string[],
  options: CreateOptions & DefineOptions,
): Promise<void> {
  if (name?.startsWith('-')) throw new UsageError(`expected a name for the new VM before ${name}`);
  if (qemu.length > 0) {
    if (name === undefined) throw new UsageError('expected a name for the new VM');
    const [mixed] = describing(options);
    if (mixed !== undefined)
      throw new UsageError(`${mixed} cannot be combined with QEMU options: use the QEMU option for it`);
    await defineFromQemu(vmList, name, qemu, options);
    return;
  }
  if (describing(options).length > 0) {
    if (name === undefined) throw new UsageError('expected a name for the new VM');
    await make(vmList, newVmOf(name, options), options, false);
    return;
  }
  requirePrompt('describe the VM with --kernel, --iso, --cloud-image, or QEMU options after --');
  const { askForVm } = await import('./wizard.ts');
  const vm = await askForVm(name, new Set(vmList.vms().map(vm => vm.name)));
  await make(vmList, vm, options, true);
}

async function defineFromQemu(
  vmList: VmList,
  name: string,
  qemu: readonly string[],
  options: CreateOptions & DefineOptions,
): Promise<void> {
  const { definition, leftOut } = qemuMachine(qemu, name);
  const named = { ...definition, name };
  await defineVm(vmList, named, options, { leftOut });
  if (options.json) return;
  reportLeftOut(leftOut);
  reportMissingFeatures(named);
}

async function make(
  vmList: VmList,
  vm: NewVm,
  options: CreateOptions & DefineOptions,
  asks: boolean,
): Promise<void> {
  const { json = false, dryRun = false, replace = false } = options;
  const plan = planNewVm(vm, disksFolder(managerPaths().state), randomUUID());
  const { problems, warnings } = checkPlan(plan);
  const steps = plan.steps.map(describeStep);
  if (asks || (dryRun && !json)) {
    for (const step of steps) printError(`vring: ${step}`);
    if (asks) printError(`\n${plan.text}`);
  }
  const shared = sharedDevices(plan.definition, vmList.vms());
  for (const warning of [...warnings, ...shared]) printError(`vring: ${warning}`);
  if (problems.length > 0) throw new CreateError(problems.join('; '));
  if (asks && !(await confirm('Create it?', true))) throw new Error('nothing was created');
  if (!replace && !dryRun) requireFree(vmList, vm.name);
  if (!dryRun) await carryOutOnTerminal(vmList, plan, replace);
  reportDefined(plan.definition, plan.text, { json, dryRun }, { steps });
}

/** Ctrl-C while a disk is being created removes it. */
export async function carryOutOnTerminal(vmList: VmList, plan: NewVmPlan, replace: boolean): Promise<void> {
  let doing = '';
  const progress = new Progress(() => doing);
  const abort = new AbortController();
  const signal = endingSignal();
  void signal.status.then(() =>
    abort.abort(new CreateError('interrupted: everything created so far was removed')),
  );
  try {
    await carryOut(plan, {
      save: (name, text) => vmList.define(name, text, { replace }),
      progress: (step, share) => {
        doing = `${describeStep(step)}: ${percent(share)}`;
      },
      signal: abort.signal,
    });
  } finally {
    progress.end();
    signal.ignore();
  }
}
