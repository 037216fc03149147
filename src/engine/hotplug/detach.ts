import type { Vm } from '../vm.ts';
import { HandedOverError } from '../vm-run.ts';

/**
 * Asks the guest of a running VM to release a device, or removes it without asking. Resolves once the device is out,
 * which may be never: the topology shows that it waits.
 * @throws an error for the user
 */
export async function detachDevice(vm: Vm, device: string, force: boolean): Promise<void> {
  for (;;) {
    try {
      await vm.command('unplug', { device, force });
      return;
    } catch (error) {
      // The machine continues in another process, which does not know of this request.
      if (!(error instanceof HandedOverError) || !vm.alive) throw error;
      if (vm.info.topology?.devices.every(({ name }) => name !== device)) return;
    }
  }
}
