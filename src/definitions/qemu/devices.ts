import { deviceConfig } from '../../devices/device-config.ts';
import { DEVICE_NAME, type DeviceType } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { likely } from '../../text/nearest.ts';
import type { Nic } from '../fields/nics.ts';
import { own } from '../own.ts';
import { DISK_TYPES, NIC_TYPES } from '../wanted-devices.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { NIC_NAMES } from './networks.ts';
import { Settings } from './settings.ts';

/** Rows that the reading of -device asks of the device table. */
type QemuRow = Pick<DeviceType, 'type' | 'qemu'>;

/** QEMU's names of what definitions have keys of their own for, whether or not the device table has it already. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  'scsi-hd': 'scsi-disk',
  'scsi-cd': 'scsi-disk',
  'ide-hd': 'ide-disk',
  'ide-cd': 'ide-disk',
  'virtio-scsi-pci': 'virtio-scsi',
  'virtio-scsi-pci-non-transitional': 'virtio-scsi',
  'virtio-balloon-pci': 'virtio-balloon',
  'virtio-balloon-pci-non-transitional': 'virtio-balloon',
  'vfio-pci': 'vfio-pci',
  ...Object.fromEntries(Object.entries(NIC_NAMES).map(([name, model]) => [name, NIC_TYPES[model]])),
};

/** Where vring puts a device is not for the command line. */
const NO_PROPERTY: Readonly<Record<string, string>> = {
  addr: 'leave it out: devices get their PCI slots in the order in which they are written',
  bus: 'leave it out: devices get their places in the order in which they are written',
  bootindex: 'say -boot order= instead',
  iothread: 'leave it out: each queue has a thread of its own',
  'scsi-id': 'leave it out: disks are numbered as they are written',
  lun: 'leave it out: disks are numbered as they are written',
  romfile: 'leave it out: devices have no option ROMs',
};

/** Every name that -device takes. */
export function deviceNames(rows: readonly QemuRow[] = deviceTable): string[] {
  return [...new Set([...rows.flatMap(({ qemu }) => qemu?.devices ?? []), ...Object.keys(OWN_NAMES)])];
}

/** -device. @throws OptionError */
export function readDevice(
  draft: Draft,
  text: string,
  place: Place,
  rows: readonly QemuRow[] = deviceTable,
): void {
  const settings = new Settings(text, 'driver');
  const driver = settings.require('driver');
  const row = rows.find(({ qemu }) => qemu?.devices.includes(driver));
  const type = row?.type ?? own(OWN_NAMES, driver);
  if (type === undefined) throw unknownDevice(driver, deviceNames(rows));
  const id = settings.take('id');
  const model = own(NIC_NAMES, driver);
  if (type === DISK_TYPES.virtio) readDisk(draft, settings, place, 'virtio', false);
  else if (type === DISK_TYPES.scsi) readDisk(draft, settings, place, 'scsi', driver === 'scsi-cd');
  else if (type === DISK_TYPES.ide) readDisk(draft, settings, place, 'ide', driver === 'ide-cd');
  else if (type === 'virtio-scsi') draft.addScsiController(place, id);
  else if (type === 'virtio-rng') readRng(draft, settings);
  else if (type === 'virtio-balloon') draft.fields.balloon = true;
  else if (type === 'vfio-pci') draft.addPassthrough(place, { host: settings.require('host') });
  else if (model !== undefined) readNic(draft, settings, place, model);
  else draft.addDevice(place, rowEntry(draft, settings, row!, id));
  settings.end(NO_PROPERTY);
}

function unknownDevice(driver: string, names: readonly string[]): OptionError {
  const meant = likely(driver, names);
  const which = meant === null ? `there are ${names.join(', ')}` : `did you mean "${meant}"?`;
  return new OptionError(`vring has no device ${shown(driver)} yet: ${which}`);
}

function readDisk(
  draft: Draft,
  settings: Settings,
  place: Place,
  bus: 'virtio' | 'scsi' | 'ide',
  cdrom: boolean,
): void {
  const { bus: given, disk } = draft.claimDrive(settings.require('drive'));
  if (given !== 'none') throw new OptionError(`its drive has if=${given}: a drive for a -device has if=none`);
  if (bus === 'scsi') {
    const on = settings.take('bus');
    if (on !== undefined && !draft.hasScsiController(on)) {
      throw new OptionError(
        `bus=${on}: there is no such controller: give it with -device virtio-scsi-pci,id=`,
      );
    }
  }
  const serial = settings.take('serial');
  const queues = bus === 'virtio' ? settings.takeCount('num-queues') : undefined;
  draft.addDisk(place, {
    ...disk,
    bus,
    cdrom: cdrom || (disk.cdrom ?? false),
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
  });
}

function readNic(draft: Draft, settings: Settings, place: Place, model: Nic['model']): void {
  const network = draft.claimNetwork(settings.require('netdev'));
  const mac = settings.take('mac');
  draft.addNic(place, { model, network, ...(mac !== undefined && { mac }) });
}

function readRng(draft: Draft, settings: Settings): void {
  draft.once('-device virtio-rng-pci');
  const source = settings.take('rng');
  if (source !== undefined) draft.claimRandomSource(source);
  draft.fields.rng = true;
}

/** A device that only the table knows: its row says which of QEMU's properties is which option. @throws OptionError */
export function rowEntry(
  draft: Draft,
  settings: Settings,
  row: QemuRow,
  id: string | undefined,
): DeviceConfig {
  const entry: Record<string, unknown> = { type: row.type };
  if (id !== undefined && DEVICE_NAME.pattern.test(id)) entry.name = id;
  for (const [property, option] of Object.entries(row.qemu!.properties)) {
    const value = settings.take(property);
    if (value === undefined) continue;
    if (property === 'drive') {
      const { disk } = draft.claimDrive(value);
      Object.assign(entry, {
        [option]: disk.file,
        ...(disk.format !== undefined && { format: disk.format }),
        readonly: disk.readonly,
        cache: disk.cache,
      });
    } else {
      entry[option] = property === 'netdev' ? draft.claimNetwork(value) : value;
    }
  }
  return typed(entry);
}

/** Options come as text: those that the row takes as a number or a switch become one. */
function typed(entry: Record<string, unknown>): DeviceConfig {
  const issues = deviceConfig.safeParse(entry).error?.issues ?? [];
  for (const issue of issues) {
    const key = String(issue.path[0]);
    const value = entry[key];
    if (issue.code !== 'invalid_type' || typeof value !== 'string') continue;
    if (issue.expected === 'boolean' && /^(on|off)$/.test(value)) entry[key] = value === 'on';
    if (/^(int|number)$/.test(issue.expected) && /^\d{1,15}$/.test(value)) entry[key] = Number(value);
  }
  return entry as DeviceConfig;
}
