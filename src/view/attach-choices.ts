import { isAlive, stateWord, type VmInfo } from '../engine/vm-info.ts';
import type { PickColumn, PickRow } from '../store/pick-layer.ts';
import { bytes } from '../text/units.ts';
import { TASK_TITLES } from './vm-task.ts';

/** The key of the row that creates a VM; no VM has such a name. */
export const NEW_VM = '+';

export const VM_CHOICE_COLUMNS: readonly PickColumn[] = [
  { key: 'name', title: 'VM', min: 16, ideal: 24, cut: 'middle' },
  { key: 'state', title: 'STATE', min: 8 },
  { key: 'memory', title: 'MEMORY', min: 6, align: 'right' },
  { key: 'devices', title: 'PCI DEVICES', min: 14, ideal: 15, grow: 1, priority: 1 },
  { key: 'how', title: 'WHEN', min: 17, ideal: 20, priority: 2 },
];

/** The VMs that devices can be attached to, and a row for a new one. */
export function vmChoices(vms: readonly VmInfo[], addresses: readonly string[]): PickRow[] {
  return [...vms.map(vm => choiceOf(vm, addresses)), NEW_ROW];
}

const NEW_ROW: PickRow = {
  key: NEW_VM,
  cells: { name: 'a new VM', how: 'created with them' },
  refusal: null,
  always: true,
};

function choiceOf(vm: VmInfo, addresses: readonly string[]): PickRow {
  const refusal = attachRefusal(vm, addresses);
  const how = isAlive(vm) ? 'now: hot plug' : 'at its next start';
  return {
    key: vm.id,
    cells: {
      name: vm.name,
      state: stateWord(vm),
      memory: vm.memoryBytes === 0 ? '' : bytes(vm.memoryBytes),
      devices: (vm.hostDevices ?? []).map(({ address }) => address.replace(/^0000:/, '')).join(' '),
      how: refusal === null ? how : 'not now',
    },
    refusal,
  };
}

/** Why a VM cannot get devices in its present state, in a sentence; null if it can. */
export function attachRefusal(vm: VmInfo, addresses: readonly string[]): string | null {
  const { name, state, task, defined, problem, saved } = vm;
  const has = new Set((vm.hostDevices ?? []).map(({ address }) => address));
  if (addresses.length > 0 && addresses.every(address => has.has(address)))
    return isAlive(vm) ? `${name} has it already` : `${name} takes it at its next start already: S starts it`;
  if (task !== undefined) return `${name} is busy: wait for its ${TASK_TITLES[task.kind]}, or cancel it`;
  if (state === 'starting' || state === 'stopping' || state === 'stuck')
    return `${name} is ${state}: wait until it runs or is off`;
  if (isAlive(vm)) return null;
  if (saved !== undefined)
    return `${name} resumes from a saved state, which has no such device: start it, or discard the state first`;
  if (problem !== null) return `the definition of ${name} is not valid: ${problem}`;
  return defined ? null : `${name} has no definition to add it to: start it first`;
}
