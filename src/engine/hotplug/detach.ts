import type { Vm } from '../vm.ts';
import { HandedOverError } from '../vm-run.ts';

/**
 * Has the guest of a running VM release a device, or takes it without asking. Resolves when the device is out, which may be never: the
 * topology says that it waits.
 * @throws an error for the user
 */
export async function detachDevice(vm: Vm, device: string, force: boolean): Promise<void> {
  for (;;) {
    try {
      await vm.command('unplug', { device, force });
      return;
    } catch (error) {
      // The machine goes on in another process, which does not know who waits.
      if (!(error instanceof HandedOverError) || !vm.alive) throw error;
      if (vm.info.topology?.devices.every(({ name }) => name !== device)) return;
    }
  }
}
