import { DEVICE_NAME, type DefinitionKey } from '../../devices/device-type.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import type { Input } from '../fields/inputs.ts';
import { knownDevices, qemuDevice } from '../known-devices.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import { CPU_DEVICE, readCpuDevice } from './cpus.ts';
import { ANY_DEVICE, OF_SCREEN, OWN_PROPERTIES, USB_PLACE } from './device-properties.ts';
import { type Address, type KnownOption, type QemuRow, rowEntry } from './device-rows.ts';
import { readDisk, readNvme, sataRow } from './disk-devices.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { readNic } from './nic-devices.ts';
import { isOtherTablet, leftOutDevice, otherAdapter, refusedDevice } from './other-devices.ts';
import { readPassthrough } from './passthrough.ts';
import { addChannel, addConsoleDevice } from './ports.ts';
import { alwaysOn, type Settings } from './settings.ts';
import { tpmSocket } from './tpm.ts';

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
