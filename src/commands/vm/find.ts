import type { VmInfo } from '../../engine/vm-info.ts';
import { likely } from '../../text/nearest.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';

export type Selection = { readonly all?: boolean };

/** Finds a VM by name. @throws with a suggestion */
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
    ? `there is no VM ${shown}; create one with vring vm create`
    : `there is no VM ${shown}; vring vm list lists them`;
}

/** The distinct names given to a command. @throws UsageError unless there are names or --all, but not both */
export function requireNames(names: readonly string[], { all = false }: Selection): readonly string[] {
  if (all && names.length > 0) throw new UsageError('--all cannot be combined with names');
  if (!all && names.length === 0) throw new UsageError('expected a VM name or --all');
  return [...new Set(names)];
}
