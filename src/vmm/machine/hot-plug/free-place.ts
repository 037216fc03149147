import type { DeviceConfig, DeviceTable } from '../../../devices/device-table.ts';
import type { BusAddress } from '../../../devices/device-type.ts';
import { parsePciAddress, placeDevices } from '../../../devices/places.ts';
import type { Chipset } from '../../chipset/chipset.ts';

/** The address of a device that is about to be plugged in. */
export type FreePlace = { readonly bus: string; readonly address: BusAddress };

/**
 * The place for a device to plug in: as its options specify; otherwise a root port that the guest drives, a slot of bus
 * 0, or a root port that the guest does not drive, in this order.
 * @throws an error for the user if that place is unavailable, or there is none
 */
export function freePlace(chipset: Chipset, table: DeviceTable, config: DeviceConfig): FreePlace {
  const row = table.find(config.type);
  if (row !== undefined && row.bus !== 'pci') return placeOfUnit(chipset, table, config);
  if (config.bus === undefined && config.addr === undefined) {
    const place = anyPlace(chipset);
    if (place !== null) return place;
    throw new Error(
      'the machine has no free slot for it: unplug a device, or define the VM with root ports to spare (machine.hotplug-ports)',
    );
  }
  const { bus, address } = namedPlace(chipset, table, config);
  if (chipset.bus(bus)?.hotplug === undefined) {
    const buses = chipset.hotplugs.map(({ name }) => name).join(', ');
    throw new Error(`no device can be plugged into ${bus} while the machine runs: choose one of ${buses}`);
  }
  const free = address ?? freeAddress(chipset, bus);
  if (free === null)
    throw new Error(`${bus} has no free slot: unplug a device from it, or choose another bus`);
  return { bus, address: free };
}

/** On a bus whose devices are plugged and unplugged immediately. */
function placeOfUnit(chipset: Chipset, table: DeviceTable, config: DeviceConfig): FreePlace {
  const { bus, address } = namedPlace(chipset, table, config);
  const units = chipset.bus(bus)?.units;
  if (units === undefined) throw new Error(`no device can be plugged into ${bus} while the machine runs`);
  const free = address ?? units.free();
  if (free === null)
    throw new Error(`${bus} has no free place: unplug a device from it, or choose another bus`);
  return { bus, address: free };
}

function anyPlace(chipset: Chipset): FreePlace | null {
  const ports = chipset.hotplugs
    .filter(({ name }) => name !== 'pci.0')
    .flatMap(({ name, hotplug }) => {
      const address = freeAddress(chipset, name);
      return address === null ? [] : [{ bus: name, address, driven: hotplug.driven(address.unit) }];
    });
  const driven = ports.find(({ driven }) => driven);
  if (driven !== undefined) return driven;
  const slot = freeAddress(chipset, 'pci.0');
  return slot === null ? (ports[0] ?? null) : { bus: 'pci.0', address: slot };
}

/** An empty slot of a bus that has several, or of a root port. */
function freeAddress(chipset: Chipset, bus: string): BusAddress | null {
  const { pci } = chipset;
  if (bus === 'pci.0') {
    const slot = pci.freeSlot();
    return slot === null ? null : { unit: slot, function: 0 };
  }
  const port = pci.rootPorts.find(({ name }) => name === bus);
  return port?.secondary.functions.length === 0 ? { unit: 0, function: 0 } : null;
}

/** The place that the options `bus` and `addr` specify, given the present devices. */
function namedPlace(chipset: Chipset, table: DeviceTable, config: DeviceConfig) {
  const { rootPorts, devices } = chipset.places;
  const present = devices.map(({ name, bus, addr }): DeviceConfig => {
    const { type } = chipset.part(name)!.type;
    return { type, name, bus, ...(addr !== null && { addr }) };
  });
  const isPci = table.find(config.type)?.bus === 'pci';
  const address = config.addr === undefined || !isPci ? null : parsePciAddress(config.addr);
  // A guest examines a slot when function 0 is added, so that comes last: the others are checked in its place.
  const checked = address === null ? config : { ...config, addr: address.unit.toString(16) };
  const { places, problems } = placeDevices(table, [...present, checked], rootPorts.length);
  const problem = problems.find(({ index }) => index === present.length);
  if (problem !== undefined) throw new Error(`${problem.option}: ${problem.message}`);
  const place = places[present.length]!;
  return isPci ? { bus: place.bus, address } : place;
}
