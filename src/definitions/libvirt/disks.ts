import type { XmlElement } from '@rgrove/parse-xml';
import {
  diskCaches,
  diskErrorActions,
  type ImageFormat,
  zeroDetections,
} from '../../devices/backends/disk.ts';
import { own } from '../../text/own.ts';
import { sizeText } from '../../text/size.ts';
import type { DiskInput } from '../fields/disks.ts';
import { libvirtDevice } from '../known-devices.ts';
import { MAX_SERIAL } from '../qemu/drives.ts';
import type { DomainDocument } from './document.ts';

/** A <disk>; null if it is left out. */
export function readDisk(document: DomainDocument, element: XmlElement): DiskInput | null {
  const leaveOut = (reason: string) => {
    document.leaveOut(element, reason);
    return null;
  };
  const type = document.attribute(element, 'type') ?? 'file';
  if (type !== 'file' && type !== 'block' && type !== 'dir')
    return leaveOut(
      `a disk must be a file, a block device or a folder of this host${own(INSTEAD, type) ?? ''}`,
    );
  const kind = document.attribute(element, 'device') ?? 'disk';
  if (kind !== 'disk' && kind !== 'cdrom' && kind !== 'floppy')
    return leaveOut(`vring has no ${kind} devices`);
  const source = document.child(element, 'source');
  // An empty drive may have an empty source.
  const file = document.attribute(source, SOURCES[type]) || null;
  if (document.child(element, 'encryption') !== null || document.child(source, 'encryption') !== null)
    return leaveOut('its image is encrypted: decrypt it with qemu-img convert');
  document.skip(source, 'index');

  const target = document.child(element, 'target');
  const targetBus = document.attribute(target, 'bus') ?? DEFAULT_BUS[kind];
  const name = document.attribute(target, 'dev');
  const bus = libvirtDevice('disk', targetBus)?.definition.value as DiskInput['bus'];
  if (type === 'dir' && kind === 'cdrom') return leaveOut('a CD-ROM cannot be made of a folder');
  if (bus === undefined) return leaveOut(`vring has no ${targetBus} disks`);
  if ((bus === 'floppy') !== (kind === 'floppy'))
    return leaveOut(`no ${kind} is on a bus of type ${targetBus}`);
  if (NO_CD_DRIVES[bus] !== undefined && kind === 'cdrom')
    return leaveOut(`vring has no CD drives on ${NO_CD_DRIVES[bus]}: use bus sata`);
  if (file === null && (kind === 'disk' || bus === 'virtio')) return leaveOut('it has no medium');
  if (targetBus !== bus && bus !== 'floppy') document.leaveOut(target!, `${targetBus} becomes ${bus}`);

  const addr =
    bus === 'scsi' || bus === 'sata'
      ? readAddress(document, element, bus)
      : bus === 'virtio' || NO_CD_DRIVES[bus] !== undefined
        ? {}
        : readUnit(document, element, name);
  for (const name of ['address', 'alias', 'backingStore']) document.skipAll(document.child(element, name));
  const place = document.attribute(document.child(element, 'boot'), 'order');
  const readonly = document.child(element, 'readonly');
  document.skip(readonly);
  const transient = document.child(element, 'transient');
  document.skipAll(transient);
  const serialElement = document.child(element, 'serial');
  const serial = document.text(serialElement);
  // On virtio and ATA disks, libvirt's guests see no more of it, either.
  if (bus === 'scsi' && serial !== null && serial.length > MAX_SERIAL)
    document.leaveOut(serialElement!, `a serial number has at most ${MAX_SERIAL} characters`);
  return {
    ...(file !== null && { file }),
    bus,
    ...addr,
    ...readDriver(document, element),
    // libvirt has no other FAT disks than read-only ones.
    ...(type === 'dir' && { format: kind === 'floppy' ? 'fat-floppy' : 'fat', readonly: true }),
    ...(kind === 'cdrom' ? { cdrom: true } : readonly !== null && { readonly: true }),
    ...(transient !== null && readonly === null && type !== 'dir' && kind !== 'cdrom' && { transient: true }),
    ...(serial !== null && { serial: serial.slice(0, MAX_SERIAL) }),
    ...(place !== null && { bootindex: Number(place) }),
    ...readLimits(document, element),
  };
}

/** Buses whose disks get any free place, by their names. */
const NO_CD_DRIVES: Readonly<Record<string, string>> = { usb: 'USB', sd: 'sd', nvme: 'NVMe' };

/** The attribute of <source> that names it. */
const SOURCES = { file: 'file', block: 'dev', dir: 'dir' } as const;

/** What to do with disks that libvirt reaches in other ways. */
const INSTEAD: Readonly<Record<string, string>> = {
  volume: ': virsh vol-path says which file the volume is',
  network: ': attach it there first, with rbd map, iscsiadm or nbd-client for instance',
  nvme: ': pass its controller through',
};

const DEFAULT_BUS = { disk: 'virtio', cdrom: 'ide', floppy: 'fdc' } as const;

/** Where an IDE or floppy drive is: by its address, else by its name, hda or fdb. */
function readUnit(
  document: DomainDocument,
  element: XmlElement,
  name: string | null,
): Pick<DiskInput, 'addr'> {
  const address = document.child(element, 'address');
  if (address === null || document.attribute(address, 'type') !== 'drive') {
    const letter = /^[hf]d([a-d])$/.exec(name ?? '')?.[1];
    return letter === undefined ? {} : { addr: String(letter.charCodeAt(0) - 'a'.charCodeAt(0)) };
  }
  const [controller, bus, unit] = ['controller', 'bus', 'unit'].map(
    key => document.attribute(address, key) ?? '0',
  );
  return controller === '0' && /^[01]$/.test(bus!) && /^[01]$/.test(unit!)
    ? { addr: String(2 * Number(bus) + Number(unit)) }
    : {};
}

/** Where a disk of the first SCSI or SATA controller is; disks of other controllers get a free place. */
function readAddress(
  document: DomainDocument,
  element: XmlElement,
  kind: 'scsi' | 'sata',
): Pick<DiskInput, 'addr'> {
  const address = document.child(element, 'address');
  if (address === null || document.attribute(address, 'type') !== 'drive') return {};
  const number = (name: string) => document.attribute(address, name) ?? '0';
  const [controller, bus, target, unit] = ['controller', 'bus', 'target', 'unit'].map(number);
  const isFirst = controller === '0' && bus === '0';
  if (kind === 'sata') return isFirst && /^[0-5]$/.test(unit!) ? { addr: unit! } : {};
  return isFirst && /^\d{1,3}$/.test(target!) && /^\d{1,5}$/.test(unit!) ? { addr: `${target}:${unit}` } : {};
}

/** The totals of <iotune>; limits of reads or writes alone, and how long a burst lasts, are left out. */
function readLimits(document: DomainDocument, element: XmlElement): Pick<DiskInput, 'limits'> {
  const iotune = document.child(element, 'iotune');
  document.skip(iotune);
  const rate = (name: string) => Number(document.text(document.child(iotune, name)) ?? 0);
  const iops = rate('total_iops_sec');
  const bps = rate('total_bytes_sec');
  const iopsBurst = rate('total_iops_sec_max');
  const bpsBurst = rate('total_bytes_sec_max');
  const limits = {
    ...(iops > 0 && { iops }),
    ...(iops > 0 && iopsBurst >= iops && { 'iops-burst': iopsBurst }),
    ...(bps > 0 && { bps: sizeText(bps) }),
    ...(bps > 0 && bpsBurst >= bps && { 'bps-burst': sizeText(bpsBurst) }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

/** libvirt's names. */
const LIBVIRT_ACTIONS = { report: 'report', ignore: 'ignore', stop: 'stop', enospc: 'enospace' } as const;

function readDriver(document: DomainDocument, element: XmlElement): Partial<DiskInput> {
  const driver = document.child(element, 'driver');
  if (driver === null) return {};
  document.skip(driver, 'name', 'io');
  const format = document.attribute(driver, 'type') ?? undefined;
  const cache = driver.attributes.cache;
  const queues = Number(document.attribute(driver, 'queues') ?? 1);
  const isFolder = element.attributes.type === 'dir';
  if (format !== undefined && !isFolder && format !== 'raw' && format !== 'qcow2') {
    throw document.error(
      driver,
      `expected a disk of format raw or qcow2, not ${format}: convert it with qemu-img`,
    );
  }
  const one = <Value extends string>(name: string, values: readonly Value[]): Value | undefined => {
    const value = values.find(value => value === driver.attributes[name]);
    if (value !== undefined) document.skip(driver, name);
    return value;
  };
  if (cache === 'default') document.skip(driver, 'cache');
  const mode = one('cache', diskCaches);
  const discard = one('discard', ['unmap', 'ignore']);
  const zeroes = one('detect_zeroes', zeroDetections);
  const werror = one(
    'error_policy',
    diskErrorActions.map(action => LIBVIRT_ACTIONS[action]),
  );
  const rerror = one('rerror_policy', ['report', 'ignore', 'stop']);
  return {
    ...(!isFolder && format !== undefined && { format: format as ImageFormat }),
    ...(mode !== undefined && mode !== 'writeback' && { cache: mode }),
    ...(discard === 'ignore' && { discard }),
    // libvirt: unmap is on where discards are ignored.
    ...(zeroes !== undefined &&
      zeroes !== 'off' && { 'detect-zeroes': discard === 'ignore' ? 'on' : zeroes }),
    ...(werror !== undefined && {
      werror: diskErrorActions.find(action => LIBVIRT_ACTIONS[action] === werror)!,
    }),
    // Without their own policy, reads have that of writes, as far as possible.
    ...((rerror ?? (werror !== 'enospace' ? werror : undefined)) !== undefined && {
      rerror: rerror ?? (werror as 'report' | 'ignore' | 'stop'),
    }),
    ...(queues > 1 && { queues: Math.min(16, queues) }),
  };
}
