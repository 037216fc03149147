import { TRANSPORT_PROPERTIES } from '../../devices/virtio/transport-options.ts';
import type { DiskInput } from '../fields/disks.ts';
import { ANY_DEVICE, DISK_PROPERTIES, NVME_PROPERTIES, USB_PLACE } from './device-properties.ts';
import {
  type Address,
  diskOptions,
  type KnownOption,
  type QemuRow,
  rowEntry,
  takeBootIndex,
  takeNumber,
  takeSwitches,
} from './device-rows.ts';
import type { Draft } from './draft.ts';
import { takeSerial } from './drives.ts';
import { OptionError } from './error.ts';
import { SataControllers, type SataPort } from './sata.ts';
import type { LeftOutSettings, Settings } from './settings.ts';

export function readDisk(draft: Draft, settings: Settings, option: KnownOption): void {
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
export function readNvme(
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
export function sataRow(rows: readonly QemuRow[], driver: string): QemuRow | undefined {
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
