import type { VmInfo } from '../engine/vm-info.ts';
import { printError } from '../text/output.ts';

/** Reports why a VM crashed. @returns the exit status: the guest's own code, 0 after a power-off, 1 after a crash */
export function reportEnd(vm: VmInfo): number {
  if (vm.state === 'crashed') {
    printError(`\nvring: ${vm.name} crashed: ${vm.reason}`);
    if (vm.detail) printError(vm.detail);
    return 1;
  }
  return vm.exitCode ?? 0;
}
