import { deviceTable } from '../devices/registry.ts';
import type {
  Claim,
  PassthroughOptions,
  PassthroughRequest,
  PassthroughVm,
} from '../host/passthrough/assessment.ts';
import { given } from './given.ts';
import {
  type FunctionsOfSlot,
  hostFunctionsOfSlot,
  passedFunctions,
  vfSettings,
} from './passed-functions.ts';
import type { Definition } from './schema.ts';
import { hasFirmware } from './to-machine.ts';

const HUGEPAGE_BYTES = { '2M': 2 ** 21, '1G': 2 ** 30 } as const;

/**
 * The host functions that a definition asks for, with its options for each.
 * @param claims devices of other VMs
 */
export function requestOf(
  definition: Definition,
  state: PassthroughVm['state'] = 'stopped',
  claims: readonly Claim[] = [],
  functionsOfSlot: FunctionsOfSlot = hostFunctionsOfSlot,
): PassthroughRequest {
  const passed = passedFunctions(definition.passthrough, functionsOfSlot);
  const options = passed.map(({ device }): [string, PassthroughOptions] => {
    const { id, romfile, iommufd, 'vf-token': vfToken, 'unsafe-no-iommu': unsafeNoIommu } = device;
    return [
      device.host,
      { ...vfSettings(device), ...given({ id, romfile, iommufd, vfToken, unsafeNoIommu }) },
    ];
  });
  return {
    addresses: passed.map(({ device }) => device.host),
    vm: passthroughVm(definition, state),
    options: Object.fromEntries(options),
    claims,
  };
}

/** What matters about a VM for its passed-through devices. */
export function passthroughVm(
  { name, memory, machine, cpus, balloon }: Definition,
  state: PassthroughVm['state'],
): PassthroughVm {
  return {
    name,
    memoryBytes: memory.size,
    firmware: hasFirmware(machine),
    vcpus: cpus.maxcpus ?? cpus.count,
    hostCpus: cpus.pinning ?? null,
    state,
    hugepageBytes: memory.hugepages === undefined ? null : HUGEPAGE_BYTES[memory.hugepages],
    balloon: balloon !== false,
    mergeable: memory.mergeable,
    hideHypervisor: cpus['hide-hypervisor'],
  };
}

/** The functions that other definitions pass. */
export function claimsOf(
  definitions: readonly Definition[],
  isRunning: (name: string) => boolean,
  functionsOfSlot: FunctionsOfSlot = hostFunctionsOfSlot,
): Claim[] {
  return definitions.flatMap(({ name, passthrough, devices }) => {
    const addresses = [
      ...passedFunctions(passthrough, functionsOfSlot).map(({ device }) => device.host),
      ...devices.flatMap(device => deviceTable.hostDevice(device)?.address ?? []),
    ];
    return addresses.map(address => ({ address, vm: name, running: isRunning(name) }));
  });
}
