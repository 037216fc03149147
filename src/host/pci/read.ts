import path from 'node:path';
import { pendingAddresses } from '../pending-writes.ts';
import type { HostRoot } from '../root.ts';
import { hexId, integer, keyValues, natural } from '../text.ts';
import { compareAddresses, parseAddress } from './address.ts';
import { capability, firstCapability, readCapabilities } from './capabilities.ts';
import type { Capability } from './capability-types.ts';
import { classTraits } from './class.ts';
import { type ConfigAccess, type ConfigSpace, withConfigSpace } from './config-space.ts';
import type { PciFunction } from './function.ts';
import { type Modules, modules } from './modules.ts';
import { type PciIds, pciIds } from './pci-ids.ts';
import { parseRegions } from './regions.ts';

const devices = '/sys/bus/pci/devices';

type Sources = {
  readonly root: HostRoot;
  readonly ids: PciIds;
  readonly modules: Modules;
  readonly pending: ReadonlySet<string>;
};

/** @param total the number of functions to read */
export type OnFunction = (fn: PciFunction, total: number) => void;

/**
 * Every PCI function of the host, by address. A function that vanishes while it is read is omitted.
 * @param onFunction called with each function once it has been read
 */
export function readPci(root: HostRoot, onFunction?: OnFunction): PciFunction[] {
  const sources = { root, ids: pciIds(root), modules: modules(root), pending: pendingAddresses(root) };
  const functions: PciFunction[] = [];
  const addresses = (root.list(devices) ?? []).filter(address => parseAddress(address) !== null);
  for (const address of addresses) {
    const fn = readFunction(sources, address);
    if (fn === null) continue;
    functions.push(fn);
    onFunction?.(fn, addresses.length);
  }
  functions.sort((a, b) => compareAddresses(a.address, b.address));
  return withAri(functions);
}

function readFunction(sources: Sources, address: string): PciFunction | null {
  const { root, ids } = sources;
  const link = root.link(`${devices}/${address}`);
  const directory = link && path.posix.resolve(devices, link);
  const entries = directory ? root.list(directory) : null;
  const uevent = root.attribute(`${directory}/uevent`);
  if (!directory || entries === null || uevent === null) return null;
  const has = new Set(entries);
  const read = (name: string): string | null =>
    has.has(name) ? root.attribute(`${directory}/${name}`) : null;

  const event = keyValues(uevent);
  const [vendor, device] = idPair(event.get('PCI_ID'));
  const [subVendor, subDevice] = idPair(event.get('PCI_SUBSYS_ID'));
  const code = (event.get('PCI_CLASS') ?? '0').toLowerCase().padStart(6, '0');
  const alias = event.get('MODALIAS') ?? '';
  const config = readConfig(root, directory, read);
  // The read would block on the device's lock.
  const override = sources.pending.has(address) ? null : read('driver_override');
  return {
    address,
    path: directory,
    ...ancestry(directory),
    class: code,
    vendor,
    device,
    // A function without a subsystem reads 0000.
    subsystemVendor: subVendor === '0000' ? null : subVendor,
    subsystemDevice: subVendor === '0000' ? null : subDevice,
    revision: config.revision ?? (read('revision') ?? '0').replace('0x', '').padStart(2, '0'),
    names: {
      class: ids.subclassName(code),
      vendor: ids.vendor(vendor),
      device: ids.device(vendor, device),
      subsystem: ids.subsystem(vendor, device, subVendor, subDevice),
    },
    driver: has.has('driver') ? root.linkName(`${directory}/driver`) : null,
    driverOverride: override === null || override === '(null)' || override === '' ? null : override,
    modules: sources.modules.drivers.candidates(alias),
    vfioModules: sources.modules.vfioDrivers.candidates(alias).filter(name => name !== 'vfio_pci'),
    numaNode: nonNegative(read('numa_node')),
    iommuGroup: has.has('iommu_group') ? integer(root.linkName(`${directory}/iommu_group`)) : null,
    bridge: config.bridge,
    multifunction: config.multifunction,
    ariFunction: null,
    physicalFunction: has.has('physfn') ? root.linkName(`${directory}/physfn`) : null,
    virtualFunctions: entries
      .filter(name => /^virtfn\d+$/.test(name))
      .sort(natural)
      .map(name => root.linkName(`${directory}/${name}`))
      .filter(name => name !== null),
    bootVga: read('boot_vga') === '1',
    regions: parseRegions(read('resource') ?? '', classTraits(code).pciBridge),
    configAccess: config.access,
    capabilities: config.capabilities,
  };
}

type Config = {
  readonly access: ConfigAccess;
  readonly revision: string | null;
  readonly bridge: PciFunction['bridge'];
  readonly multifunction: boolean;
  readonly capabilities: readonly Capability[];
};

const unread: Config = {
  access: 'none',
  revision: null,
  bridge: null,
  multifunction: false,
  capabilities: [],
};

function readConfig(root: HostRoot, directory: string, read: (name: string) => string | null): Config {
  // A read of config space would wake the device.
  if (read('power_state') === 'D3cold') return { ...unread, access: 'asleep' };
  return withConfigSpace(root, directory, decodeConfig) ?? unread;
}

function decodeConfig(config: ConfigSpace): Config {
  if (!config.present) return unread;
  // A VF's ids read as all ones, but its command register does not: SR-IOV 1.1 §3.4.1.
  const headerType = config.u8(0x0e);
  // Header types end at 2: 7f means that the device left the bus between two reads.
  if (config.u32(0x04) === 0xffffffff || (headerType & 0x7f) === 0x7f) return { ...unread, access: 'dead' };
  const first = firstCapability(config);
  return {
    // A function without capabilities has only its header.
    access: first === 0 || config.has(first) ? 'full' : 'header',
    revision: config.u8(0x08).toString(16).padStart(2, '0'),
    bridge: (headerType & 0x7f) === 1 ? { secondary: config.u8(0x19), subordinate: config.u8(0x1a) } : null,
    multifunction: (headerType & 0x80) !== 0,
    capabilities: readCapabilities(config),
  };
}

/** Parent bridge and root bus from a directory such as `/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0`. */
function ancestry(directory: string): Pick<PciFunction, 'parent' | 'rootBus'> {
  const names = directory.split('/');
  const above = names.at(-2) ?? '';
  const rootName = names.findLast(name => /^pci[0-9a-f]{4,8}:[0-9a-f]{2}$/.test(name)) ?? '';
  return { parent: parseAddress(above) ? above : null, rootBus: rootName.slice(3) };
}

/** Below a port with ARI forwarding, device and function number together are a function number from 0 to 255. */
function withAri(functions: PciFunction[]): PciFunction[] {
  const forwarding = new Set(
    functions.filter(fn => capability(fn.capabilities, 'pcie')?.ariForwarding === true).map(fn => fn.address),
  );
  return functions.map(fn => {
    if (fn.parent === null || !forwarding.has(fn.parent)) return fn;
    const { device, function: number } = parseAddress(fn.address)!;
    return { ...fn, ariFunction: device * 8 + number };
  });
}

function idPair(text: string | undefined): [string, string] {
  const [first = '0', second = '0'] = (text ?? '').split(':');
  return [hexId(first), hexId(second)];
}

function nonNegative(text: string | null): number | null {
  const value = integer(text);
  return value === null || value < 0 ? null : value;
}
