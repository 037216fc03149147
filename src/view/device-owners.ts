import { isAlive, type VmHostDevice, type VmInfo } from '../engine/vm-info.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';

/** A VM that has a host function, or takes it at its next start. */
export type DeviceOwner = VmHostDevice & {
  readonly vm: string;
  /** Whether its machine has it now. */
  readonly has: boolean;
};

/** By address; VMs that have a function come before those that will. */
export type DeviceOwners = ReadonlyMap<string, readonly DeviceOwner[]>;

/** The host, with the VMs that its functions belong to. */
export type HostView = HostSnapshot & { readonly owners: DeviceOwners };

export function deviceOwners(vms: readonly Pick<VmInfo, 'name' | 'state' | 'hostDevices'>[]): DeviceOwners {
  const owners = vms.flatMap(vm =>
    (vm.hostDevices ?? []).map((device): DeviceOwner => ({ ...device, vm: vm.name, has: isAlive(vm) })),
  );
  const sorted = owners.sort((a, b) => Number(b.has) - Number(a.has) || a.vm.localeCompare(b.vm));
  return Map.groupBy(sorted, ({ address }) => address);
}

/** `web`; `web (off)` if it takes the function at its next start; `!` in front if no IOMMU isolates it. */
export function ownersText(owners: readonly DeviceOwner[]): string {
  return owners.map(({ vm, has, noIommu }) => `${noIommu ? '! ' : ''}${vm}${has ? '' : ' (off)'}`).join(', ');
}

/** How each VM uses a function, in a sentence for each. */
export function ownerSentences(owners: readonly DeviceOwner[]): string[] {
  return owners.map(({ vm, has, device, api, keep, before, noIommu }) => {
    const how = api === null ? '' : ` through ${api === 'group' ? 'its VFIO group' : 'iommufd'}`;
    const then = keep
      ? 'it stays with vfio-pci when the VM ends'
      : before === null
        ? 'the host gets it back when the VM ends'
        : `it goes back to ${before} when the VM ends`;
    const unsafe = noIommu ? '; UNSAFE: no IOMMU protects the memory of the host from the guest' : '';
    return has
      ? `${vm} has it as ${device}${how}; ${then}${unsafe}`
      : `${vm} takes it as ${device} at its next start${unsafe}`;
  });
}
