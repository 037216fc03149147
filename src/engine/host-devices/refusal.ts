import type { Vm } from '../vm.ts';
import { wantedHostDevices } from './wanted.ts';

/**
 * Refuses an operation that needs the state of a VM's host devices, which only the devices themselves hold.
 * @param what of the VM: `be saved`. @throws naming the devices, and what to do instead
 */
export function refuseHostDevices({ name, config }: Pick<Vm, 'name' | 'config'>, what: string): void {
  const devices = wantedHostDevices(config?.devices ?? []);
  if (devices.length === 0) return;
  const names = devices.map(({ device, address }) => `${device} (${address} of the host)`).join(', ');
  const [it, them] = devices.length === 1 ? ['its state is', 'it'] : ['their states are', 'them'];
  const detach = devices.map(({ device }) => `vring vm detach ${name} ${device}`).join('; ');
  throw new Error(
    `${name} cannot ${what}, because it has ${names}: ${it} in the hardware, where no program can read it; detach ${them} first (${detach}), or shut the VM down`,
  );
}
