import type { VmNic } from './vm-nics.ts';

/** A VM and its network cards. */
export type NicOwner = { readonly name: string; readonly nics?: readonly VmNic[] };

/**
 * Refuses cards with one MAC address: they would take each other's packets.
 * @param others running VMs. @throws an error for the user that names both cards
 */
export function refuseSameMac(vm: NicOwner, others: readonly NicOwner[], what = 'cannot start'): void {
  const [shared] = sharedMacs(vm, others);
  if (shared === undefined) return;
  const { mac, device, other, otherDevice } = shared;
  throw new Error(
    `${vm.name} ${what}: its ${device} has the MAC address ${mac}, and so has ${otherDevice} of ${other}, which runs: ` +
      'give one of them another (mac: in its definition), or shut that VM down first',
  );
}

export type SharedMac = {
  readonly mac: string;
  readonly device: string;
  readonly other: string;
  readonly otherDevice: string;
};

/** The addresses of a VM's cards that cards of other VMs have, too. */
export function sharedMacs({ name, nics = [] }: NicOwner, others: readonly NicOwner[]): SharedMac[] {
  const owners = new Map(
    others
      .filter(other => other.name !== name)
      .flatMap(other =>
        (other.nics ?? []).flatMap(({ mac, device }) =>
          mac === null ? [] : [[mac, { other: other.name, otherDevice: device }] as const],
        ),
      ),
  );
  return nics.flatMap(({ mac, device }) => {
    const owner = mac === null ? undefined : owners.get(mac);
    return owner === undefined ? [] : [{ mac: mac!, device, ...owner }];
  });
}
