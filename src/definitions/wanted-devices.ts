import { defaultErrorPolicy } from '../devices/backends/disk.ts';
import type { DeviceTable } from '../devices/device-table.ts';
import type { BusKind, DefinitionKey } from '../devices/device-type.ts';
import { deviceTable } from '../devices/registry.ts';
import { macAddress } from '../engine/networks/mac-address.ts';
import { balloonOptions } from './fields/balloon.ts';
import type { Disk } from './fields/disks.ts';
import type { Nic } from './fields/nics.ts';
import type { Passthrough } from './fields/passthrough.ts';
import { netOptions } from './net-options.ts';
import { type FunctionsOfSlot, hostFunctionsOfSlot, passedFunctions } from './passed-functions.ts';
import type { Definition } from './schema.ts';

/** A device that a definition asks for, as an entry of the device table. */
export type WantedDevice = {
  /** The key that asks for it: `nics[0].model`. */
  readonly key: string;
  /** What people call it, as a plural or a mass noun: `e1000 network cards`. */
  readonly what: string;
  readonly entry: WantedEntry;
};

/** `type`: null when the table has no device for the key. */
export type WantedEntry = { readonly type: string | null } & Readonly<Record<string, unknown>>;

/**
 * The devices of a definition in the order of their PCI slots.
 * @param functionsOfSlot the functions of a device of the host
 */
export function wantedDevices(
  definition: Definition,
  table = deviceTable,
  functionsOfSlot: FunctionsOfSlot = hostFunctionsOfSlot,
): WantedDevice[] {
  const { name, disks, nics, rng, balloon, passthrough, devices } = definition;
  const type = (key: DefinitionKey['key'], value?: string, cdrom?: boolean) =>
    table.typeOfKey(key, value, cdrom);
  const wanted: WantedDevice[] = [
    ...disks.map((disk, index) => ofDisk(disk, `disks[${index}]`, type('disks', disk.bus, disk.cdrom))),
    ...nics.map((nic, index) => ofNic(nic, name, index, table)),
    ...(rng
      ? [
          {
            key: 'rng',
            what: 'random number devices',
            entry: { type: type('rng'), ...(rng !== true && rng) },
          },
        ]
      : []),
    ...(balloon
      ? [
          {
            key: 'balloon',
            what: 'memory balloons',
            entry: { type: type('balloon'), ...balloonOptions(balloon) },
          },
        ]
      : []),
    ...(definition.console === 'virtio'
      ? [{ key: 'console', what: 'virtio consoles', entry: { type: type('console', 'virtio') } }]
      : []),
    ...passedFunctions(passthrough, functionsOfSlot).map(({ index, device }) => ({
      key: `passthrough[${index}]`,
      what: 'PCI passthrough',
      entry: { type: type('passthrough'), ...ofMachine(device) },
    })),
    ...devices.map((entry, index) => ({ key: `devices[${index}]`, what: `${entry.type} devices`, entry })),
  ];
  return [...impliedControllers(wanted, table), ...wanted];
}

/** Controllers with the buses that devices are to be on, of the kinds that no device of the definition provides. */
function impliedControllers(wanted: readonly WantedDevice[], table: DeviceTable): WantedDevice[] {
  const rows = wanted.map(({ entry }) => (entry.type === null ? undefined : table.find(entry.type)));
  const provided = new Set<BusKind>(['pci', 'isa', ...rows.flatMap(row => row?.provides?.kind ?? [])]);
  const taken = new Set(wanted.flatMap(({ entry }) => (typeof entry.name === 'string' ? [entry.name] : [])));
  return rows.flatMap((row, index) => {
    if (row === undefined || provided.has(row.bus)) return [];
    provided.add(row.bus);
    const controller = table.configurable.find(({ provides }) => provides?.kind === row.bus);
    if (controller === undefined) return [];
    const { key, what } = wanted[index]!;
    return [{ key, what, entry: { type: controller.type, name: table.freeName(controller.type, taken) } }];
  });
}

/** What the manager does before the machine starts is nothing to the machine. */
function ofMachine({ keep, mac, vlan, 'unsafe-no-iommu': _, ...device }: Passthrough) {
  return device;
}

/** Only what differs from the defaults is passed on, so that a type need not know options that it lacks. */
function ofDisk(
  {
    file,
    bus,
    addr,
    format,
    cdrom,
    readonly,
    cache,
    discard,
    rerror,
    werror,
    serial,
    bootindex,
    queues,
    limits,
    virtio,
  }: Disk,
  key: string,
  type: string | null,
): WantedDevice {
  return {
    key: `${key}.bus`,
    what: `${bus} ${cdrom ? 'CD-ROMs' : 'disks'}`,
    entry: {
      type,
      ...(file !== undefined && { path: file }),
      ...(addr !== undefined && { addr }),
      ...(format !== undefined && { format }),
      ...(readonly && { readonly }),
      ...(cache !== 'writeback' && { cache }),
      ...(discard !== 'unmap' && { discard }),
      ...(rerror !== defaultErrorPolicy.rerror && { rerror }),
      ...(werror !== defaultErrorPolicy.werror && { werror }),
      ...(serial !== undefined && { serial }),
      ...(bootindex !== undefined && { bootindex }),
      ...(queues > 1 && { queues }),
      ...(limits !== undefined && { limits }),
      ...virtio,
    },
  };
}

/** The device that a network card is, without an address of its own unless it has been given one. */
export function nicEntry(nic: Nic, table = deviceTable): WantedEntry {
  const { model, mac, addr, queues, mtu, link, vhost, vectors, bootindex, limits, virtio } = nic;
  return {
    type: table.typeOfKey('nics', model),
    network: netOptions(nic),
    ...(mac !== undefined && { mac }),
    ...(addr !== undefined && { addr }),
    ...(queues > 1 && { queues }),
    ...(mtu !== undefined && { mtu }),
    ...(link === 'down' && { link: false }),
    ...(vhost !== undefined && { vhost }),
    ...(vectors !== undefined && { vectors }),
    ...(bootindex !== undefined && { bootindex }),
    ...(limits !== undefined && { limits }),
    ...virtio,
  };
}

function ofNic(nic: Nic, vm: string, index: number, table: DeviceTable): WantedDevice {
  const { mac = macAddress(vm, index), model } = nic;
  return {
    key: `nics[${index}].model`,
    what: `${model} network cards`,
    entry: nicEntry({ ...nic, mac }, table),
  };
}
