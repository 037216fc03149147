import type { VmInfo } from './engine.ts';

/** Does it have a machine, running or not? */
export function isAlive(vm: VmInfo): boolean {
  return vm.state !== 'off' && vm.state !== 'crashed';
}
