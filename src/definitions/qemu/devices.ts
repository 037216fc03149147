import { deviceConfigOf } from '../../devices/device-config.ts';
import { DEVICE_NAME, type DefinitionKey, type DeviceType } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { TRANSPORT_PROPERTIES } from '../../devices/virtio/transport-options.ts';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import { diskLimits } from '../fields/disk-limits.ts';
import type { DiskInput } from '../fields/disks.ts';
import type { Input } from '../fields/inputs.ts';
import { network as networkField } from '../fields/networks.ts';
import { type Nic, nicFeatures } from '../fields/nics.ts';
import { knownDevices, qemuDevice } from '../known-devices.ts';
import { type NetEntry, netOptions } from '../net-options.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import type { Connection } from './connection.ts';
import { CPU_DEVICE, readCpuDevice } from './cpus.ts';
import {
  ANY_DEVICE,
  DISK_PROPERTIES,
  NIC_PROPERTIES,
  NVME_PROPERTIES,
  OWN_PROPERTIES,
} from './device-properties.ts';
import type { Draft, Drive, Place } from './draft.ts';
import { takeSerial } from './drives.ts';
import { OptionError } from './error.ts';
import { hostFile } from './host-file.ts';
import { isOtherTablet, leftOutDevice, otherAdapter, refusedDevice } from './other-devices.ts';
import { readPassthrough } from './passthrough.ts';
import { addChannel, addConsoleDevice } from './ports.ts';
import { SataControllers, type SataPort } from './sata.ts';
import { alwaysOn, type LeftOutSettings, type Settings, switchValue } from './settings.ts';
import { tpmSocket } from './tpm.ts';

/** The part of a device table row that -device needs. */
type QemuRow = Pick<DeviceType, 'type' | 'qemu' | 'libvirt' | 'definition'> &
  Partial<Pick<DeviceType, 'bus' | 'provides'>>;

/** Not a device of a definition: COM1, which every guest has. */
const COM1 = 'isa-serial';

/** Every name that -device accepts. */
export function deviceNames(rows: readonly QemuRow[] = deviceTable.rows): string[] {
  const known = [...rows, ...knownDevices(rows)].flatMap(({ qemu }) => qemu?.devices ?? []);
  return [...new Set([...known, COM1])];
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
  if (CPU_DEVICE.test(driver)) {
    readCpuDevice(draft, settings);
    return;
  }
  const port = draft.sata.portOf(driver, settings.peek('bus'));
  const row = port === null ? rows.find(({ qemu }) => qemu?.devices.includes(driver)) : sataRow(rows, driver);
  if (row === undefined && draft.buses.read(driver, settings, place)) return;
  const adapter = row === undefined ? otherAdapter(driver) : undefined;
  if (adapter !== undefined) {
    draft.fields.display = adapter.display;
    draft.leaveOut(place, adapter.reason);
    return;
  }
  if (row === undefined && isOtherTablet(driver)) {
    draft.addInput(place, 'tablet');
    draft.leaveOut(place, 'the guest gets a USB tablet instead');
    return;
  }
  const leftOut = row === undefined ? leftOutDevice(driver) : null;
  if (leftOut !== null) {
    draft.leaveOut(place, leftOut);
    return;
  }
  const id = settings.take('id');
  const addr = takePlace(draft, settings);
  const known = (port === null ? qemuDevice(driver, rows) : row)?.definition;
  if (row?.provides?.kind === 'scsi')
    draft.scsi.add(place, id, { ...rowEntry(draft, settings, row, undefined), ...addr });
  else if (row?.provides?.kind === 'sata') {
    const name = draft.sata.add(id);
    draft.addDevice(place, { ...rowEntry(draft, settings, row, undefined), name, ...addr });
  } else if (row?.bus === 'nvme' || known?.value === 'nvme')
    readNvme(draft, settings, { place, id, addr, row: row! });
  else if (row?.provides?.kind === 'usb') {
    settings.leaveOut({ p2: USB_PORTS, p3: USB_PORTS, streams: USB_PORTS, msi: USB_PORTS, msix: USB_PORTS });
    draft.addDevice(place, { ...rowEntry(draft, settings, row, id), ...addr });
  } else if (driver === COM1) readConsole(draft, settings, { place, driver });
  else if (known !== undefined)
    READERS[known.key](draft, settings, { place, driver, id, addr, known, row, port });
  else if (row !== undefined) draft.addDevice(place, { ...rowEntry(draft, settings, row, id), ...addr });
  else if (draft.fields.deviceModules === undefined) throw unknownDevice(driver, deviceNames(rows));
  else draft.addDevice(place, { ...moduleEntry(settings, driver, id), ...addr });
  if (row !== undefined) settings.leaveOut(own(OWN_PROPERTIES, row.type) ?? {});
  settings.leaveOut(ANY_DEVICE);
  settings.end();
}

const USB_PORTS = 'a USB controller has 15 ports of USB 2.0';

/** Where a device is to be: nothing, or its address. */
type Address = { readonly addr?: string };

/** `addr` on the root bus; other buses belong to bridges that are left out. */
function takePlace(draft: Draft, settings: Settings): Address {
  const bus = settings.peek('bus');
  const addr = settings.peek('addr');
  if (bus !== undefined && !draft.buses.isRoot(bus)) return {};
  settings.take('bus');
  const match = /^(?:0x)?([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(addr ?? '');
  if (match === null) return {};
  for (const key of ['addr', 'multifunction']) settings.take(key);
  return { addr: `${match[1]!.padStart(2, '0')}.${match[2] ?? 0}`.toLowerCase() };
}

type KnownOption = {
  readonly place: Place;
  readonly driver: string;
  readonly id: string | undefined;
  readonly addr: Address;
  readonly known: DefinitionKey;
  readonly row: QemuRow | undefined;
  /** Of a drive on a SATA controller. */
  readonly port: SataPort | null;
};

type Reader = (draft: Draft, settings: Settings, option: KnownOption) => void;

/** How a device becomes an entry of each key of a definition. */
const READERS: Readonly<Record<DefinitionKey['key'], Reader>> = {
  disks: readDisk,
  nics: readNic,
  rng: readRng,
  balloon: readBalloon,
  tpm: readTpm,
  passthrough: (draft, settings, { place, id, addr }) =>
    readPassthrough(draft, settings, { place, id, ...addr }),
  console: readConsole,
  channels: readChannel,
  display: readDisplay,
  inputs: readInput,
};

function unknownDevice(driver: string, names: readonly string[]): OptionError {
  const reason = refusedDevice(driver);
  if (reason !== null) return new OptionError(reason);
  const meant = likely(driver, names);
  const which = meant === null ? '-device help lists those that it has' : `did you mean "${meant}"?`;
  return new OptionError(`vring has no device ${shown(driver)} yet: ${which}`);
}

function readDisk(draft: Draft, settings: Settings, option: KnownOption): void {
  const { place, known, addr, row } = option;
  const bus = known.value as NonNullable<DiskInput['bus']>;
  const cdromDevice = known.cdrom ?? option.driver.endsWith('-cd');
  const scsi =
    bus === 'usb'
      ? takeUsbPlace(settings)
      : bus === 'sd'
        ? takeSlot(settings)
        : option.port
          ? takeSataPlace(settings, row!, option.port)
          : takeScsiPlace(draft, settings, row);
  const unit = takeUnit(draft, settings, bus);
  if (scsi.isOwn) {
    if (settings.peek('bootindex') === '-1') settings.take('bootindex');
    settings.leaveOut(withoutOwn(row!));
    const entry = rowEntry(draft, settings, row!, option.id);
    draft.addDevice(place, { ...entry, ...(scsi.bus !== undefined && { bus: scsi.bus }), ...scsi.addr });
    return;
  }
  const name = settings.take('drive');
  const bootIndex = takeBootIndex(settings);
  const serial = takeSerial(settings);
  const queues = bus === 'virtio' ? takeQueues(settings) : undefined;
  const virtio =
    bus === 'virtio' ? takeSwitches(settings, TRANSPORT_PROPERTIES, Object.values(TRANSPORT_PROPERTIES)) : {};
  settings.accept('logical_block_size', '512');
  settings.prefer('physical_block_size', ['512'], 'disks have blocks of 512 bytes');
  settings.leaveOut(DISK_PROPERTIES);
  const canBeEmpty = cdromDevice || bus === 'floppy';
  if (name === undefined && !canBeEmpty) throw new OptionError('drive is missing');
  const disk = name === undefined ? null : draft.claimDrive(name).disk;
  if (disk === null) {
    if (bus !== 'virtio' && canBeEmpty)
      draft.addDisk(place, {
        bus,
        cdrom: cdromDevice,
        ...scsi.addr,
        ...unit,
        ...(bootIndex !== undefined && { bootindex: bootIndex }),
      });
    else {
      settings.leaveOut(ANY_DEVICE);
      draft.leaveOut(place, 'it has no medium');
    }
    return;
  }
  const cdrom = cdromDevice || (disk.cdrom ?? false);
  draft.addDisk(place, {
    ...disk,
    bus,
    ...(bus === 'virtio' ? addr : scsi.addr),
    ...unit,
    cdrom: cdrom && bus !== 'floppy',
    ...(serial !== undefined && { serial }),
    ...(bootIndex !== undefined && { bootindex: bootIndex }),
    ...(queues !== undefined && { queues }),
    ...(Object.keys(virtio).length > 0 && { virtio }),
  });
}

/** An NVMe controller, which may have a drive, or a namespace of one. @throws OptionError */
function readNvme(
  draft: Draft,
  settings: Settings,
  { place, id, addr, row }: Pick<KnownOption, 'place' | 'id' | 'addr'> & { readonly row: QemuRow },
): void {
  const name = row.bus === 'nvme' ? settings.require('drive') : settings.take('drive');
  const disk = name === undefined ? null : draft.claimDrive(name).disk;
  if (name !== undefined && disk === null) throw new OptionError(`drive=${name}: it has no medium`);
  const medium = disk && { disk, options: diskOptions(draft, row, disk) };
  const bus = row.bus === 'nvme' ? settings.take('bus') : undefined;
  const serial = takeSerial(settings);
  const bootindex = takeBootIndex(settings);
  settings.leaveOut(NVME_PROPERTIES);
  settings.leaveOut(withoutOwn(row));
  const { drive: _, serial: __, bootindex: ___, ...properties } = row.qemu!.properties;
  const rest = { ...row, qemu: { devices: [], properties } };
  const { type: ____, ...options } = rowEntry(draft, settings, rest, undefined);
  const given = {
    place,
    id,
    options: {
      ...options,
      ...(serial !== undefined && { serial }),
      ...(bootindex !== undefined && { bootindex }),
    },
  };
  if (row.bus !== 'nvme') draft.nvme.add(given, addr, medium);
  else if (medium !== null) draft.nvme.addNamespace(given, bus, medium);
}

/** The disk properties that the device's row does not map. */
function withoutOwn({ qemu }: QemuRow): LeftOutSettings {
  const own = Object.keys(qemu!.properties);
  return Object.fromEntries(Object.entries(DISK_PROPERTIES).filter(([property]) => !own.includes(property)));
}

/** @throws OptionError */
function takeBootIndex(settings: Settings): number | undefined {
  if (settings.peek('bootindex') !== '-1') return takeNumber(settings, 'bootindex');
  settings.take('bootindex');
  return undefined;
}

/** @throws OptionError */
function takeNumber(settings: Settings, key: string): number | undefined {
  const value = settings.take(key);
  if (value === undefined || /^\d{1,9}$/.test(value)) return value === undefined ? undefined : Number(value);
  throw new OptionError(`${key} takes a whole number, not ${shown(value)}`);
}

/** QEMU accepts more queues than a definition; additional ones are of no use. */
function takeQueues(settings: Settings): number | undefined {
  const queues = settings.takeCount('num-queues');
  return queues === undefined ? undefined : Math.min(queues, 16);
}

/** Where a drive is on an IDE channel, of which each has two, or on a floppy controller. @throws OptionError */
function takeUnit(draft: Draft, settings: Settings, bus: DiskInput['bus']): Address {
  if (bus !== 'ide' && bus !== 'floppy') return {};
  const channel = bus === 'ide' ? /^ide\.([0-5])$/.exec(settings.peek('bus') ?? '') : null;
  if (channel !== null || bus === 'floppy') settings.take('bus');
  const unit = takeNumber(settings, 'unit');
  if (channel === null && unit === undefined) return {};
  const number = Number(channel?.[1] ?? 0);
  // Each of its buses is a port.
  if (draft.isQ35 && bus === 'ide') return channel === null ? {} : { addr: String(number) };
  const first = 2 * number;
  const place = first + (unit ?? (draft.hasUnit(bus, first) ? 1 : 0));
  return { addr: String(place) };
}

/** The properties of a SCSI disk that a disk of a definition has. */
const SCSI_DISK_KEYS = ['bootindex', 'drive', 'serial'];

/** The row of a drive on a SATA port, by QEMU's name of the drive. */
function sataRow(rows: readonly QemuRow[], driver: string): QemuRow | undefined {
  const cdrom = SataControllers.isCd(driver);
  return rows.find(
    ({ definition }) =>
      definition?.key === 'disks' && definition.value === 'sata' && (definition.cdrom ?? false) === cdrom,
  );
}

/** Where a drive on a SATA controller is, and whether it needs an entry of its own. */
function takeSataPlace(settings: Settings, row: QemuRow, { controller, isFirst, port }: SataPort) {
  settings.take('bus');
  settings.accept('unit', '0');
  const more = Object.keys(row.qemu!.properties).filter(property => !SCSI_DISK_KEYS.includes(property));
  const hasMore = more.some(property => settings.peek(property) !== undefined);
  const addr = port === undefined ? {} : { addr: String(port) };
  const isOwn = hasMore || !isFirst;
  return { addr, bus: isOwn ? controller : undefined, isOwn };
}

/** Where a USB disk is, and whether it needs an entry of its own because its medium can be changed. */
function takeUsbPlace(settings: Settings) {
  const port = settings.peek('port') ?? '';
  const addr = /^([1-9]|1[0-5])$/.test(port) ? { addr: port } : {};
  if (addr.addr !== undefined) settings.take('port');
  settings.leaveOut({ bus: USB_PLACE.bus, port: USB_PLACE.port });
  return { addr, bus: undefined, isOwn: settings.peek('removable') !== undefined };
}

/** A card goes into the first free slot. */
function takeSlot(settings: Settings) {
  settings.leaveOut({
    bus: 'it is in the first slot that is free',
    spec_version: 'its version of the specification is 5.0',
  });
  return { addr: {}, bus: undefined, isOwn: false };
}

/** Where a SCSI disk is, and whether it needs an entry of its own because `disks` cannot express all of it. */
function takeScsiPlace(draft: Draft, settings: Settings, row: QemuRow | undefined) {
  if (row?.bus !== 'scsi') return { addr: {}, bus: undefined, isOwn: false };
  const bus = settings.take('bus');
  const isFirst = draft.scsi.use(bus);
  settings.accept('channel', '0');
  const [target, lun] = [takeNumber(settings, 'scsi-id'), takeNumber(settings, 'lun')];
  const addr = target === undefined && lun === undefined ? {} : { addr: `${target ?? 0}:${lun ?? 0}` };
  const more = Object.keys(row.qemu!.properties).filter(property => !SCSI_DISK_KEYS.includes(property));
  const hasMore = more.some(property => settings.peek(property) !== undefined);
  const name = isFirst ? undefined : draft.scsi.nameOf(bus!);
  return { addr, bus: name, isOwn: hasMore || name !== undefined };
}

/** Where a card is on ISA, for which `nics` has no keys. */
const ISA_PROPERTIES = ['iobase', 'irq'];

/** A card without a network has no link. */
function readNic(
  draft: Draft,
  settings: Settings,
  { place, driver, known, row, addr, id }: KnownOption,
): void {
  if (row?.bus === 'isa' && ISA_PROPERTIES.some(property => settings.peek(property) !== undefined)) {
    draft.addDevice(place, rowEntry(draft, settings, row, id));
    return;
  }
  const netdev = settings.take('netdev');
  const connection = netdev === undefined ? { network: 'none' as const } : draft.claimNetwork(netdev);
  const mac = settings.take('mac');
  const bootindex = takeBootIndex(settings);
  const vectors = settings.take('vectors');
  const mtu = settings.takeCount('host_mtu');
  const rom = takeRom(draft, settings);
  const virtio = takeSwitches(settings, row?.qemu?.properties ?? {}, nicFeatures);
  settings.leaveOut(NIC_PROPERTIES);
  if (/^e1000-8254[45]/.test(driver)) draft.leaveOut(place, 'every e1000 is an 82540EM', driver);
  draft.addNic(place, {
    model: known.value as Nic['model'],
    ...connection,
    ...addr,
    ...(mac !== undefined && { mac }),
    ...(vectors !== undefined && { vectors: Number(vectors) }),
    ...(mtu !== undefined && { mtu }),
    ...(bootindex !== undefined && { bootindex }),
    ...rom,
    ...(Object.keys(virtio).length > 0 && { virtio }),
  });
}

/** The ROM of a card. QEMU's own are iPXE's, which vring finds itself. @throws OptionError */
function takeRom(draft: Draft, settings: Settings): Pick<Nic, 'romfile' | 'rombar'> {
  const file = settings.peek('romfile');
  const isOwn = file !== undefined && /^(efi|pxe)-[\w-]+\.rom$/.test(file);
  if (!isOwn) settings.take('romfile');
  const bar = settings.peek('rombar');
  if (bar === '0' || bar === '1') settings.take('rombar');
  const shows = bar === '0' || bar === '1' ? bar === '1' : settings.takeSwitch('rombar');
  return {
    ...(file !== undefined && !isOwn && { romfile: file === '' ? '' : hostFile(file, draft.host) }),
    ...(shows === false && { rombar: false }),
  };
}

/** The switches among a row's properties that are keys of a definition. @throws OptionError */
function takeSwitches(
  settings: Settings,
  properties: Readonly<Record<string, string>>,
  keys: readonly string[],
): Record<string, boolean> {
  const given = Object.entries(properties).flatMap(([property, option]) => {
    const on = keys.includes(option) ? settings.takeSwitch(property) : undefined;
    return on === undefined ? [] : [[option, on]];
  });
  return Object.fromEntries(given);
}

/** With an address, it becomes a device of its own, which the key cannot express. */
function readRng(draft: Draft, settings: Settings, { place, row, addr }: KnownOption): void {
  const source = settings.take('rng');
  if (source !== undefined) draft.claimRandomSource(source);
  const bytes = settings.takeCount('max-bytes');
  const period = settings.takeCount('period');
  const limit = bytes === undefined ? null : { 'max-bytes': bytes, ...(period !== undefined && { period }) };
  if (row !== undefined && addr.addr !== undefined) {
    draft.addDevice(place, { type: row.type, ...addr, ...limit });
  } else draft.fields.rng = limit ?? true;
}

/** With an address, or with properties of its queues, it becomes a device of its own, which the key cannot express. */
function readBalloon(draft: Draft, settings: Settings, { place, row, id, addr }: KnownOption): void {
  settings.leaveOut({
    'free-page-hint': 'a migration sends all pages that are not zero',
    iothread: 'each queue has its own thread',
    'page-hint': 'a migration sends all pages that are not zero',
  });
  const { type, name: _, ...options } = rowEntry(draft, settings, row!, id);
  const { 'guest-stats-polling-interval': stats, ...others } = options as Record<string, never>;
  const known = Object.keys(others).every(key => key in BALLOON_KEYS);
  if (addr.addr !== undefined || !known) {
    draft.addDevice(place, { type, ...addr, ...options });
    return;
  }
  const given = { ...others, ...(stats !== undefined && { stats }) };
  draft.fields.balloon = Object.keys(given).length > 0 ? given : true;
}

/** Options that the key also has, by the same name. */
const BALLOON_KEYS = { 'deflate-on-oom': true, 'free-page-reporting': true };

function readConsole(
  draft: Draft,
  settings: Settings,
  { place, driver }: Pick<KnownOption, 'place' | 'driver'>,
): void {
  settings.leaveOut({
    name: 'a console has no name',
    nr: 'ports are numbered in their order',
    index: 'serial ports are COM1 to COM4, in their order',
    iobase: 'serial ports are COM1 to COM4, in their order',
    irq: 'serial ports are COM1 to COM4, in their order',
  });
  addConsoleDevice(draft, driver, place, settings.take('chardev'));
}

function readChannel(draft: Draft, settings: Settings, { place }: KnownOption): void {
  settings.leaveOut({ nr: 'ports are numbered in the order of their options' });
  const name = settings.take('name');
  const chardev = settings.take('chardev');
  addChannel(draft, place, name, chardev === undefined ? null : draft.claimChardev(chardev));
}

function readDisplay(draft: Draft, settings: Settings, option: KnownOption): void {
  settings.leaveOut({
    big_endian_framebuffer: 'frame buffers are little endian',
    'global-vmstate': 'the guest does not see it',
  });
  const device = ownDevice(draft, settings, option);
  if (device === null) draft.fields.display = option.known.value as NonNullable<DefinitionInput['display']>;
  else draft.addDevice(option.place, device);
}

/**
 * With an address, or with properties, it becomes a device of its own, which the key cannot express; null for all
 * others.
 */
function ownDevice(draft: Draft, settings: Settings, { row, id, addr }: KnownOption): DeviceConfig | null {
  const { type, name: _, ...options } = rowEntry(draft, settings, row!, id);
  return addr.addr === undefined && Object.keys(options).length === 0 ? null : { type, ...addr, ...options };
}

const OF_SCREEN = 'a guest has one screen';

const USB_PLACE = {
  bus: 'it is on the first USB controller',
  port: 'it is on any port that is free',
  usb_version: 'it is a device of full speed',
  display: OF_SCREEN,
  pcap: 'what is sent is not recorded',
  'full-path': 'it only concerns migration',
  serial: 'such devices are not told apart by serial numbers',
  'msos-desc': 'it is a device of full speed',
};

/** The place of a USB device, and QEMU's settings for it, do not matter to a guest. */
function readInput(draft: Draft, settings: Settings, option: KnownOption): void {
  const { place, known, row } = option;
  const isUsb = row?.bus === 'usb';
  settings.leaveOut(
    isUsb
      ? USB_PLACE
      : { display: OF_SCREEN, head: OF_SCREEN, 'wheel-axis': alwaysOn('such a pointer has a wheel') },
  );
  const device = isUsb ? null : ownDevice(draft, settings, option);
  if (device === null) draft.addInput(place, known.value as Input);
  else draft.addDevice(place, device);
}

function readTpm(draft: Draft, settings: Settings, { known }: KnownOption): void {
  settings.leaveOut({ ppi: 'there is no physical presence interface', irq: 'drivers poll it' });
  const socket = tpmSocket(draft, settings.require('tpmdev'));
  draft.fields.tpm = { ...(known.value === 'crb' && { model: 'crb' }), socket };
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
      if (disk === null && row.definition?.cdrom === true) continue;
      if (disk === null) throw new OptionError(`drive=${value}: it has no medium`);
      Object.assign(entry, diskOptions(draft, row, disk));
    } else if (property === 'netdev') entry[option] = networkEntry(draft.claimNetwork(value));
    else entry[option] = property === 'chardev' ? draft.claimChardev(value) : value;
  }
  return typedEntry(entry);
}

/** The options of a device for its medium. */
function diskOptions(draft: Draft, row: QemuRow, disk: NonNullable<Drive['disk']>): Record<string, unknown> {
  return {
    path: disk.file,
    ...(disk.format !== undefined && { format: disk.format }),
    ...(disk.label !== undefined && { label: disk.label }),
    readonly: disk.readonly === true || row.definition?.cdrom === true,
    ...(draft.isTransient(disk) && { transient: true }),
    cache: disk.cache,
    // A USB disk ignores discards.
    ...(disk.discard !== undefined && row.bus !== 'usb' && { discard: disk.discard }),
    ...(disk['detect-zeroes'] !== undefined && { 'detect-zeroes': disk['detect-zeroes'] }),
    ...(disk.rerror !== undefined && { rerror: disk.rerror }),
    ...(disk.werror !== undefined && { werror: disk.werror }),
    ...(disk.limits !== undefined && { limits: diskLimits.parse(disk.limits) }),
  };
}

/** The network options of a row without a key of its own. */
function networkEntry({ network, queues = 1 }: Connection): NetEntry {
  return netOptions({ network: networkField.parse(network), queues });
}

/** Suffixes of QEMU's sizes. */
const UNITS = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

/** QEMU's rombar is a number, of which 0 is off. */
function bit(value: string): boolean | undefined {
  return value === '0' || value === '1' ? value === '1' : undefined;
}

/** Options are text; those that the row wants as a number or a switch are converted. */
export function typedEntry(entry: Record<string, unknown>): DeviceConfig {
  const issues = deviceConfigOf(String(entry.type)).safeParse(entry).error?.issues ?? [];
  for (const issue of issues) {
    const key = String(issue.path[0]);
    const value = entry[key];
    if (issue.code !== 'invalid_type' || typeof value !== 'string') continue;
    const on = issue.expected === 'boolean' ? (switchValue(value) ?? bit(value)) : undefined;
    if (on !== undefined) entry[key] = on;
    if (!/^(int|number)$/.test(issue.expected)) continue;
    if (/^(\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value)) entry[key] = Number(value);
    const size = /^(\d{1,9})([kmg])$/i.exec(value);
    if (size !== null) entry[key] = Number(size[1]) * UNITS[size[2]!.toLowerCase() as keyof typeof UNITS];
  }
  return entry as DeviceConfig;
}
