import type { VmInfo, VmState } from './engine.ts';

/** Does it have a machine, running or not? */
export function isAlive(vm: VmInfo): boolean {
  return vm.state !== 'off' && vm.state !== 'crashed';
}

/** The word for what a VM is at: one whose definition can't be used is more than off. */
export function stateWord(vm: VmInfo): VmState | 'invalid' {
  return vm.problem !== null && !isAlive(vm) ? 'invalid' : vm.state;
}
