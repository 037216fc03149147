import { cardAddresses } from '../../definitions/mac-addresses.ts';
import { claimsOf } from '../../definitions/passthrough-request.ts';
import type { Definition } from '../../definitions/schema.ts';
import type { VmInfo } from '../../engine/vm-info.ts';

type Vm = Pick<VmInfo, 'name' | 'hostDevices' | 'nics'>;

/** A definition's host devices and MAC addresses that other VMs have or take, too, as sentences. */
export function sharedDevices(definition: Definition, vms: readonly Vm[]): string[] {
  const own = claimsOf([definition], () => false).map(({ address }) => address);
  const macs = cardAddresses(definition).map(({ mac }) => mac);
  const { name } = definition;
  const once = 'only one of them can run at a time';
  return vms
    .filter(vm => vm.name !== name)
    .flatMap(({ name: other, hostDevices = [], nics = [] }) => [
      ...hostDevices
        .filter(({ address }) => own.includes(address))
        .map(({ address }) => `${other} and ${name} both get ${address}: ${once}`),
      ...nics
        .filter(({ mac }) => mac !== null && macs.includes(mac))
        .map(({ mac }) => `${other} and ${name} both have the MAC address ${mac}: ${once}`),
    ]);
}
