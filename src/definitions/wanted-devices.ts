import type { CharOptions } from '../devices/backends/char.ts';
import { defaultErrorPolicy } from '../devices/backends/disk.ts';
import type { DeviceTable } from '../devices/device-table.ts';
import type { BusKind, DefinitionKey } from '../devices/device-type.ts';
import { deviceTable } from '../devices/registry.ts';
import { macAddress } from '../engine/networks/mac-address.ts';
import { balloonOptions } from './fields/balloon.ts';
import { AGENT_PORT, type Channel } from './fields/char.ts';
import type { Disk } from './fields/disks.ts';
import type { Nic } from './fields/nics.ts';
import type { Passthrough } from './fields/passthrough.ts';
import { tpmOptions } from './fields/tpm.ts';
import { netOptions } from './net-options.ts';
import { parallelPort } from './parallel-ports.ts';
import { type FunctionsOfSlot, hostFunctionsOfSlot, passedFunctions } from './passed-functions.ts';
import type { Definition } from './schema.ts';
import { serialPort } from './serial-ports.ts';

/** The default number of ports of a controller. */
const ROOM_FOR_PORTS = 4;

/** A device that a definition asks for, as an entry of the device table. */
export type WantedDevice = {
  /** The key that asks for it: `nics[0].model`. */
  readonly key: string;
  /** Its common name, as a plural or a mass noun: `e1000 network cards`. */
  readonly what: string;
  readonly entry: WantedEntry;
  /** The definition does not list it: another device needs it, or several together. */
  readonly implied?: true;
};

/** `type`: null if the table has no device for the key. */
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
  const { name, machine, disks, nics, rng, balloon, inputs, tpm, passthrough, devices } = definition;
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
    ...(machine.hpet ? [{ key: 'machine.hpet', what: 'HPETs', entry: { type: 'hpet' } }] : []),
    ...ofDisplay(definition, table),
    ...inputs.map((input, index) => ({
      key: `inputs[${index}]`,
      what: 'input devices',
      entry: { type: type('inputs', input) },
    })),
    ...(tpm
      ? [{ key: 'tpm', what: 'TPMs', entry: { type: type('tpm', tpm.model), tpm: tpmOptions(tpm) } }]
      : []),
    ...definition.serial.flatMap((chardev, index) => serialEntry(chardev, index)),
    ...definition.parallel.map((chardev, index) => ({
      key: `parallel[${index}]`,
      what: 'parallel ports',
      entry: parallelPort(index, chardev),
    })),
    ...portController(definition, table),
    ...(definition.console === 'virtio'
      ? [{ key: 'console', what: 'virtio consoles', entry: { type: type('console', 'virtio') } }]
      : []),
    ...channelsOf(definition).map(({ name: port, chardev }, index) => ({
      key: index < definition.channels.length ? `channels[${index}]` : 'agent',
      what: 'channels',
      entry: { type: type('channels'), port, chardev },
    })),
    ...passedFunctions(passthrough, functionsOfSlot).map(({ index, device }) => ({
      key: `passthrough[${index}]`,
      what: 'PCI passthrough',
      entry: { type: type('passthrough'), ...ofMachine(device) },
    })),
    ...devices.map((entry, index) => ({ key: `devices[${index}]`, what: `${entry.type} devices`, entry })),
  ];
  return [...impliedControllers(wanted, table), ...wanted];
}

/** A guest with firmware gets a screen, unless it has one of another kind. */
function ofDisplay(
  { display, machine, devices, passthrough }: Definition,
  table: DeviceTable,
): WantedDevice[] {
  const hasAnother =
    devices.some(({ type }) => table.find(type)?.definition?.key === 'display') ||
    passthrough.some(device => device['x-vga'] === true);
  const value = display ?? (machine.kernel === undefined && !hasAnother ? 'vga' : 'none');
  if (value === 'none') return [];
  return [{ key: 'display', what: 'screens', entry: { type: table.typeOfKey('display', value) } }];
}

/** COM1 is a console unless it is configured otherwise; other ports exist if they are listed. */
function serialEntry(chardev: CharOptions, index: number): WantedDevice[] {
  const entry = serialPort(index, chardev);
  return entry === null ? [] : [{ key: `serial[${index}]`, what: 'serial ports', entry }];
}

/** The listed channels, and that of the guest agent. */
function channelsOf({ channels, agent }: Definition): Channel[] {
  return agent ? [...channels, { name: AGENT_PORT, chardev: { type: 'agent' } }] : channels;
}

/** A controller for virtio ports with room for all of them, if the default one has too few. */
function portController(definition: Definition, table: DeviceTable): WantedDevice[] {
  const type = table.typeOfKey('channels');
  const bus = type === null ? null : table.find(type)!.bus;
  const others = definition.devices.filter(
    entry => entry.bus === undefined && table.find(entry.type)?.bus === bus,
  );
  const ports = channelsOf(definition).length + others.length + 1;
  const controller = table.configurable.find(({ provides }) => provides?.kind === bus);
  if (ports <= ROOM_FOR_PORTS || controller === undefined) return [];
  const entry = { type: controller.type, name: 'ports', 'max-ports': ports };
  return [{ key: 'channels', what: 'channels', entry, implied: true }];
}

/** Controllers for the buses that devices need, of kinds that no device of the definition provides. */
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
    const name = table.freeName(controller.type, taken);
    return [{ key, what, entry: { type: controller.type, name }, implied: true }];
  });
}

/** The machine has no use for settings that the manager applies before it starts. */
function ofMachine(passed: Passthrough) {
  const { keep, mac, vlan, qos, trust, 'spoof-check': spoofCheck, 'unsafe-no-iommu': _, ...device } = passed;
  return device;
}

/** Only what differs from the defaults is passed on, so that a type need not know options that it lacks. */
function ofDisk(
  {
    file,
    bus,
    addr,
    format,
    label,
    cdrom,
    readonly,
    transient,
    cache,
    discard,
    'detect-zeroes': detectZeroes,
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
      ...(label !== undefined && { label }),
      ...(readonly && { readonly }),
      ...(transient && { transient }),
      ...(cache !== 'writeback' && { cache }),
      // A USB disk ignores discards.
      ...(discard !== 'unmap' && bus !== 'usb' && { discard }),
      ...(detectZeroes !== 'off' && { 'detect-zeroes': detectZeroes }),
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

/** The device that a network card becomes, without an address unless it has been given one. */
export function nicEntry(nic: Nic, table = deviceTable): WantedEntry {
  const { model, mac, addr, queues, mtu, link, vhost, vectors, bootindex, limits, virtio } = nic;
  const { romfile, rombar } = nic;
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
    ...(romfile !== undefined && { romfile }),
    ...(rombar !== undefined && { rombar }),
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
