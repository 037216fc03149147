import { claimsOf } from '../../definitions/passthrough-request.ts';
import type { Definition } from '../../definitions/schema.ts';
import type { VmInfo } from '../../engine/vm-info.ts';

type Vm = Pick<VmInfo, 'name' | 'hostDevices'>;

/** The host's devices of a definition that other VMs have or take too, as sentences. */
export function sharedDevices(definition: Definition, vms: readonly Vm[]): string[] {
  const own = claimsOf([definition], () => false).map(({ address }) => address);
  return vms
    .filter(({ name }) => name !== definition.name)
    .flatMap(({ name, hostDevices = [] }) =>
      hostDevices
        .filter(({ address }) => own.includes(address))
        .map(
          ({ address }) =>
            `${name} and ${definition.name} both get ${address}: only one of them can run at a time`,
        ),
    );
}
