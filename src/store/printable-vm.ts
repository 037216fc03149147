import type { VmInfo } from '../engine/vm-info.ts';
import { printable, printableLines } from '../text/printable.ts';
import { printableDeep } from '../text/printable-deep.ts';
import type { Topology } from '../vmm/machine/topology.ts';

/** The same VM without control characters in any of its texts: everything in the store is safe to draw. */
export function printableVm(vm: VmInfo): VmInfo {
  const orNull = (text: string | null) => (text === null ? null : printable(text));
  return {
    ...vm,
    name: printable(vm.name),
    reason: orNull(vm.reason),
    problem: orNull(vm.problem),
    blockers: vm.blockers.map(printable),
    keyboardHolder: orNull(vm.keyboardHolder),
    ...(vm.keyboardHolders !== undefined && { keyboardHolders: printableRecord(vm.keyboardHolders) }),
    detail: vm.detail === null ? null : printableLines(vm.detail).join('\n'),
    broken: printableRecord(vm.broken),
    ...(vm.hostDevices !== undefined && { hostDevices: printableDeep(vm.hostDevices) }),
    ...(vm.nics !== undefined && { nics: printableDeep(vm.nics) }),
    ...(vm.definedDevices !== undefined && { definedDevices: printableDeep(vm.definedDevices) }),
    ...(vm.servedVnc !== undefined && { servedVnc: printableDeep(vm.servedVnc) }),
    ...(vm.guest !== undefined && { guest: printableDeep(vm.guest) }),
    ...(vm.diskErrors !== undefined && { diskErrors: printableRecord(vm.diskErrors) }),
    confinement: vm.confinement?.map(layer => ({ ...layer, reason: orNull(layer.reason) })) ?? null,
    topology: vm.topology === null ? null : printableTopology(vm.topology),
  };
}

function printableRecord(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([device, text]) => [printable(device), printable(text)]),
  );
}

function printableTopology({
  shape,
  vcpus,
  queues,
  regions,
  statistics,
  devices,
  consoles,
  pinning,
  places,
}: Topology): Topology {
  return {
    shape,
    vcpus,
    pinning,
    consoles: consoles.map(label => ({ ...label, name: printable(label.name) })),
    devices: devices.map(device => ({
      ...device,
      name: printable(device.name),
      type: printable(device.type),
      title: printable(device.title),
      bus: printable(device.bus),
      address: device.address === null ? null : printable(device.address),
      facts: device.facts.map(({ value, ...fact }) => ({
        ...fact,
        label: printable(fact.label),
        value: typeof value === 'string' ? printable(value) : value,
      })),
      ...(device.hostDevice !== undefined && { hostDevice: printableDeep(device.hostDevice) }),
    })),
    queues: queues.map(label => ({
      ...label,
      device: printable(label.device),
      type: printable(label.type),
      queue: printable(label.queue),
    })),
    regions: regions.map(region => ({ ...region, device: printable(region.device) })),
    ...(places !== undefined && { places: printableDeep(places) }),
    ...(statistics && {
      statistics: statistics.map(statistic => ({
        ...statistic,
        device: printable(statistic.device),
        name: printable(statistic.name),
      })),
    }),
  };
}
