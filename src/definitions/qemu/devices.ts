import { deviceConfig } from '../../devices/device-config.ts';
import { DEVICE_NAME, type DeviceType } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import type { Nic } from '../fields/nics.ts';
import { DISK_TYPES, NIC_TYPES } from '../wanted-devices.ts';
import { shown } from '../words.ts';
import { ANY_DEVICE, DISK_PROPERTIES, NIC_PROPERTIES, VFIO_PROPERTIES } from './device-properties.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { NIC_NAMES } from './networks.ts';
import { leftOutDevice, refusedDevice } from './other-devices.ts';
import { addConsoleDevice } from './ports.ts';
import type { Settings } from './settings.ts';

/** The part of a device table row that -device needs. */
type QemuRow = Pick<DeviceType, 'type' | 'qemu'>;

/** Devices that definitions have their own keys for, whether or not the device table has them yet. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  'virtio-blk': virtio('blk'),
  'scsi-disk': ['scsi-hd', 'scsi-cd', 'scsi-disk'],
  'ide-disk': ['ide-hd', 'ide-cd', 'ide-drive'],
  'virtio-scsi': virtio('scsi'),
  'virtio-rng': virtio('rng'),
  'virtio-balloon': virtio('balloon'),
  'vfio-pci': ['vfio-pci', 'vfio-pci-nohotplug'],
  console: ['virtconsole', 'isa-serial'],
};

const OWN_NAMES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(KINDS).flatMap(([kind, names]) => names.map(name => [name, kind]))),
  ...Object.fromEntries(Object.entries(NIC_NAMES).map(([name, model]) => [name, NIC_TYPES[model]])),
};

/** The names of a virtio device: on PCI, or on the bus of a microvm machine. */
function virtio(name: string): string[] {
  return ['-pci', '-pci-non-transitional', '-pci-transitional', '', '-device'].map(
    end => `virtio-${name}${end}`,
  );
}

/** Every name that -device accepts. */
export function deviceNames(rows: readonly QemuRow[] = deviceTable.rows): string[] {
  return [...new Set([...rows.flatMap(({ qemu }) => qemu?.devices ?? []), ...Object.keys(OWN_NAMES)])];
}

/** -device. @throws OptionError */
export function readDevice(
  draft: Draft,
  text: string,
  place: Place,
  rows: readonly QemuRow[] = deviceTable.rows,
): void {
  const settings = draft.settings(place, text, 'driver');
  const driver = settings.require('driver');
  const leftOut = leftOutDevice(driver);
  if (leftOut !== null) {
    draft.leaveOut(place, leftOut);
    return;
  }
  const row = rows.find(({ qemu }) => qemu?.devices.includes(driver));
  const type = own(OWN_NAMES, driver) ?? row?.type;
  const id = settings.take('id');
  if (type === undefined) {
    if (draft.fields.deviceModules === undefined) throw unknownDevice(driver, deviceNames(rows));
    draft.addDevice(place, moduleEntry(settings, driver, id));
    return;
  }
  const model = own(NIC_NAMES, driver);
  if (type === DISK_TYPES.virtio) readDisk(draft, settings, place, 'virtio', false);
  else if (type === DISK_TYPES.scsi) readDisk(draft, settings, place, 'scsi', driver === 'scsi-cd');
  else if (type === DISK_TYPES.ide) readDisk(draft, settings, place, 'ide', driver === 'ide-cd');
  else if (type === 'virtio-scsi') readScsiController(draft, settings, place);
  else if (type === 'virtio-rng') readRng(draft, settings);
  else if (type === 'virtio-balloon') readBalloon(draft, settings);
  else if (type === 'vfio-pci') readPassthrough(draft, settings, place);
  else if (type === 'console') readConsole(draft, settings, place, driver);
  else if (model !== undefined) readNic(draft, settings, place, model, driver);
  else draft.addDevice(place, rowEntry(draft, settings, row!, id));
  settings.leaveOut(ANY_DEVICE);
  settings.end();
}

function unknownDevice(driver: string, names: readonly string[]): OptionError {
  const reason = refusedDevice(driver);
  if (reason !== null) return new OptionError(reason);
  const meant = likely(driver, names);
  const which = meant === null ? `expected one of ${names.join(', ')}` : `did you mean "${meant}"?`;
  return new OptionError(`vring has no device ${shown(driver)} yet: ${which}`);
}

function readDisk(
  draft: Draft,
  settings: Settings,
  place: Place,
  bus: 'virtio' | 'scsi' | 'ide',
  cdromDevice: boolean,
): void {
  const name = settings.take('drive');
  const bootIndex = takeBootIndex(settings);
  const serial = settings.take('serial');
  const queues = bus === 'virtio' ? takeQueues(settings) : undefined;
  settings.accept('logical_block_size', '512');
  settings.prefer('physical_block_size', ['512'], 'disks have blocks of 512 bytes');
  settings.leaveOut(DISK_PROPERTIES);
  if (name === undefined) {
    if (!cdromDevice) throw new OptionError('drive is missing');
    settings.leaveOut(ANY_DEVICE);
    draft.leaveOut(place, 'it has no medium');
    return;
  }
  const { bus: given, disk } = draft.claimDrive(name);
  if (given !== 'none')
    throw new OptionError(`its drive has if=${given}: a drive for a -device needs if=none`);
  if (disk === null) {
    draft.leaveOut(place, 'it has no medium');
    return;
  }
  const cdrom = cdromDevice || (disk.cdrom ?? false);
  if (bootIndex !== undefined) draft.addBootPlace(bootIndex, cdrom ? 'cdrom' : 'disk');
  draft.addDisk(place, {
    ...disk,
    bus,
    cdrom,
    ...(serial !== undefined && { serial }),
    ...(queues !== undefined && { queues }),
  });
}

/** @throws OptionError */
function takeBootIndex(settings: Settings): number | undefined {
  const value = settings.take('bootindex');
  if (value === undefined || value === '-1') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new OptionError(`bootindex takes a whole number, not ${shown(value)}`);
}

/** QEMU accepts more queues than a definition; those beyond have no use. */
function takeQueues(settings: Settings): number | undefined {
  const queues = settings.takeCount('num-queues');
  return queues === undefined ? undefined : Math.min(queues, 16);
}

function readScsiController(draft: Draft, settings: Settings, place: Place): void {
  settings.leaveOut(DISK_PROPERTIES);
  draft.addScsiController(place);
}

function readNic(draft: Draft, settings: Settings, place: Place, model: Nic['model'], driver: string): void {
  const network = draft.claimNetwork(settings.require('netdev'));
  const mac = settings.take('mac');
  const bootIndex = takeBootIndex(settings);
  if (bootIndex !== undefined) draft.addBootPlace(bootIndex, 'network');
  settings.leaveOut(NIC_PROPERTIES);
  if (/^e1000-8254[45]/.test(driver)) draft.leaveOut(place, 'every e1000 is an 82540EM', driver);
  draft.addNic(place, { model, network, ...(mac !== undefined && { mac }) });
}

function readRng(draft: Draft, settings: Settings): void {
  const source = settings.take('rng');
  if (source !== undefined) draft.claimRandomSource(source);
  settings.leaveOut({
    'max-bytes': 'the rate of random bytes is not limited',
    period: 'the rate of random bytes is not limited',
  });
  draft.fields.rng = true;
}

function readBalloon(draft: Draft, settings: Settings): void {
  settings.leaveOut({
    'deflate-on-oom': 'vring chooses the features of its balloon',
    'free-page-reporting': 'vring chooses the features of its balloon',
    'free-page-hint': 'vring chooses the features of its balloon',
    'guest-stats-polling-interval': 'vring chooses the features of its balloon',
  });
  draft.fields.balloon = true;
}

function readPassthrough(draft: Draft, settings: Settings, place: Place): void {
  if (settings.take('sysfsdev') !== undefined)
    throw new OptionError('sysfsdev: mediated devices are not supported yet: name a PCI function with host=');
  const host = settings.require('host');
  settings.leaveOut(VFIO_PROPERTIES);
  draft.addPassthrough(place, { host });
}

function readConsole(draft: Draft, settings: Settings, place: Place, driver: string): void {
  settings.leaveOut({
    chardev: 'vring vm console shows the console',
    name: 'a guest has one console',
    nr: 'a guest has one console',
    index: 'the serial port is COM1',
    iobase: 'the serial port is COM1',
    irq: 'the serial port is COM1',
  });
  addConsoleDevice(draft, driver, place);
}

/** A device of a device module, whose options the machine checks. */
function moduleEntry(settings: Settings, type: string, id: string | undefined): DeviceConfig {
  const options = Object.fromEntries(settings.rest());
  return { type, ...(id !== undefined && DEVICE_NAME.pattern.test(id) && { name: id }), ...options };
}

/** A device that only the table has: its row maps QEMU's properties to options. @throws OptionError */
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
      if (disk === null) throw new OptionError(`drive=${value}: it has no medium`);
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

/** Options are text; those that the row wants as a number or a switch are converted. */
function typed(entry: Record<string, unknown>): DeviceConfig {
  const issues = deviceConfig.safeParse(entry).error?.issues ?? [];
  for (const issue of issues) {
    const key = String(issue.path[0]);
    const value = entry[key];
    if (issue.code !== 'invalid_type' || typeof value !== 'string') continue;
    if (issue.expected === 'boolean' && /^(on|off)$/.test(value)) entry[key] = value === 'on';
    if (/^(int|number)$/.test(issue.expected) && /^(\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value))
      entry[key] = Number(value);
  }
  return entry as DeviceConfig;
}
