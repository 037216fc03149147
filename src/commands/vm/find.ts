import type { VmInfo } from '../../engine/vm-info.ts';
import { likely } from '../../text/nearest.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';

export type Selection = { readonly all?: boolean };

/** The VM of a name. @throws with the name that may have been meant */
export function findVm(vms: readonly VmInfo[], name: string): VmInfo {
  const vm = vms.find(vm => vm.name === name);
  if (vm !== undefined) return vm;
  throw new Error(unknownVm(vms, name));
}

export function unknownVm(vms: readonly VmInfo[], name: string): string {
  const shown = printable(name);
  const near = likely(
    name,
    vms.map(vm => vm.name),
  );
  if (near !== null) return `there is no VM ${shown}; did you mean ${near}?`;
  return vms.length === 0
    ? `there is no VM ${shown}; vring vm create makes one`
    : `there is no VM ${shown}; vring vm list shows what there is`;
}

/** The names that a command was given, each once. @throws UsageError unless there are names, or --all, and not both */
export function requireNames(names: readonly string[], { all = false }: Selection): readonly string[] {
  if (all && names.length > 0) throw new UsageError('--all takes no names beside it');
  if (!all && names.length === 0) throw new UsageError('expected the name of a VM, or --all');
  return [...new Set(names)];
}
