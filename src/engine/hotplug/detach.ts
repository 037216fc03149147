import { acrossHandOvers } from '../across-hand-overs.ts';
import type { Vm } from '../vm.ts';

/**
 * Asks the guest of a running VM to release a device, or removes it without asking. Resolves once the device is out,
 * which may be never: the topology shows that it waits.
 * @throws an error for the user
 */
export async function detachDevice(vm: Vm, device: string, force: boolean): Promise<void> {
  let isRepeated = false;
  const unplug = async () => {
    // The machine continues in another process, which does not know of the request.
    if (isRepeated && vm.info.topology?.devices.every(({ name }) => name !== device)) return;
    isRepeated = true;
    await vm.command('unplug', { device, force });
  };
  await acrossHandOvers(unplug, () => vm.alive);
}
