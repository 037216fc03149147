import type { Definition } from '../../definitions/schema.ts';
import { notYet, unsupported } from '../../definitions/to-machine.ts';
import { writeDefinition } from '../../definitions/write.ts';
import { printError, printLines, writeOut } from '../../text/output.ts';
import { printJson } from '../host/host-options.ts';
import { sharedDevices } from './shared-devices.ts';
import type { VmList } from './vm-list.ts';

export type DefineOptions = {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
};

/** Saves a new definition, or prints it, and reports the result. @param more keys of the JSON document */
export async function defineVm(
  vmList: VmList,
  definition: Definition,
  options: DefineOptions,
  more: object = {},
): Promise<void> {
  const { dryRun = false, replace = false } = options;
  const yaml = writeDefinition(definition);
  if (!replace && !dryRun) requireFree(vmList, definition.name);
  if (!dryRun) await vmList.define(definition.name, yaml, { replace });
  reportDefined(definition, yaml, options, more);
  for (const shared of sharedDevices(definition, vmList.vms())) printError(`vring: ${shared}`);
}

/** @throws if the name is taken */
export function requireFree(
  vmList: Pick<VmList, 'vms'>,
  name: string,
  advice = 'choose another name, or use --replace',
): void {
  if (vmList.vms().some(vm => vm.name === name)) throw new Error(`VM ${name} already exists: ${advice}`);
}

/** Reports that a VM is defined, and which of its settings this version does not support. */
export function reportDefined(
  definition: Definition,
  yaml: string,
  { json = false, dryRun = false }: DefineOptions,
  more: object = {},
): void {
  const { name } = definition;
  const missing = notYet(definition).map(({ key, what }) => ({ key, what }));
  if (json) {
    printJson({ name, saved: !dryRun, definition: yaml, missing, ...more });
    return;
  }
  if (dryRun) writeOut(yaml);
  else
    printLines(
      `${name}: defined; start it with vring vm start ${name}, change it with vring vm edit ${name}`,
    );
  if (missing.length > 0) {
    printError(`vring: ${name} cannot start: ${unsupported(missing)}`);
  }
}
