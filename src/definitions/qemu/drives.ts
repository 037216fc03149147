import {
  type DiskCache,
  diskCaches,
  diskErrorActions,
  limitsProblem,
  zeroDetections,
} from '../../devices/backends/disk.ts';
import { sizeText } from '../../text/size.ts';
import { toRaw } from '../../vmm/backends/image-format.ts';
import type { DiskInput } from '../fields/disks.ts';
import { shown } from '../words.ts';
import type { Draft, Drive, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { readFlashDrive } from './firmware.ts';
import { folderDisk, folderOfName, type QemuFolder, takeFolder } from './folder-disk.ts';
import type { QemuHost } from './host.ts';
import { hostFile } from './host-file.ts';
import type { LeftOutSettings, Settings } from './settings.ts';

const INTERFACES = ['ide', 'virtio', 'scsi', 'none', 'floppy', 'sd', 'mtd', 'pflash', 'xen'] as const;

const NO_INTERFACE = {
  mtd: 'no PC has flash memory that its guest finds as an MTD device: use if=virtio, or if=pflash for firmware',
  xen: 'Xen disks are not supported: use if=virtio',
};

const OWN_QUEUES = 'vring chooses how data is transferred';
export const TOTALS = 'limits hold for reads and writes together: use iops-total, bps-total and their -max';

/** QEMU, include/hw/block/block.h and VIRTIO_BLK_ID_BYTES. */
export const MAX_SERIAL = 20;
const OWN_LIMITS = 'each disk has limits of its own';

/** Settings of a drive or block node that a guest does not see. */
export const DRIVE_LEFT_OUT: LeftOutSettings = {
  'copy-on-read': 'it only concerns images with a backing file',
  'file.locking': 'disks are always locked against other users',
  locking: 'disks are always locked against other users',
  'file.aio': OWN_QUEUES,
  'auto-read-only': 'a disk that cannot be written must be marked as read-only',
  'lazy-refcounts': OWN_QUEUES,
  'discard-no-unref': OWN_QUEUES,
  'l2-cache-size': OWN_QUEUES,
  'refcount-cache-size': OWN_QUEUES,
  'cache-clean-interval': OWN_QUEUES,
  'pass-discard-*': OWN_QUEUES,
  'overlap-check*': OWN_QUEUES,
  'throttling.*': TOTALS,
  'iops*': TOTALS,
  'bps*': TOTALS,
  'throttling.group': OWN_LIMITS,
  'throttling-group': OWN_LIMITS,
  group: OWN_LIMITS,
  boot: 'only old versions of QEMU used it',
  bus: 'disks are placed in the order of their index',
  addr: 'disks are placed in the order of their index',
  'x-*': OWN_QUEUES,
};

/** -drive. @throws OptionError */
export function readDrive(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text);
  const given = settings.take('if');
  if (given === 'pflash') {
    readFlashDrive(draft, settings, place);
    return;
  }
  const drive = parseDrive(draft, settings, place);
  const { id } = drive;
  if (drive.bus !== 'none' && id !== undefined)
    draft.nameAttached({ ...drive, id }, given === undefined || given === 'sd' ? place : null);
  if (drive.bus === 'none') draft.nameDrive(place, drive);
  else if (drive.disk !== null) draft.addDisk(place, { ...drive.disk, bus: drive.bus }, drive.index);
  else if (drive.bus === 'virtio' || drive.bus === 'sd') draft.leaveOut(place, 'it has no medium');
  else draft.addDisk(place, { bus: drive.bus, cdrom: drive.bus !== 'floppy' }, drive.index);
}

/** @throws OptionError */
function parseDrive(draft: Draft, settings: Settings, place: Place): Drive {
  const bus = settings.takeOne('if', INTERFACES) ?? 'ide';
  if (bus === 'mtd' || bus === 'xen') throw new OptionError(`if=${bus}: ${NO_INTERFACE[bus]}`);
  if (bus === 'pflash') throw new OptionError('if=pflash: only -drive takes it');
  const media = settings.takeOne('media', ['disk', 'cdrom']);
  const cdrom = media === 'cdrom' && bus !== 'floppy' && bus !== 'sd';
  const name = settings.take('file') ?? settings.take('file.filename');
  settings.prefer('file.driver', ['file', 'host_device', 'host_cdrom', 'vvfat'], OWN_QUEUES);
  const folder = takeFolder(settings, 'file.', name) ?? takeFolder(settings, '');
  const id = settings.take('id');
  const index = driveIndex(settings, bus);
  const format = settings.take('format') ?? settings.take('driver');
  const readonly = settings.takeSwitch('readonly') ?? settings.takeSwitch('read-only') ?? false;
  const transient = settings.takeSwitch('snapshot');
  const cache = parseCache(settings);
  const errors = takeErrorPolicy(settings);
  const discard = takeDiscard(settings);
  const serial = takeSerial(settings);
  const limits = takeLimits(settings);
  settings.prefer('aio', ['io_uring'], OWN_QUEUES);
  settings.leaveOut(DRIVE_LEFT_OUT);
  settings.end();
  if (!name && folder === null) {
    if (cdrom || bus === 'floppy' || bus === 'none') return { id, bus, index, disk: null };
    throw new OptionError('file is missing');
  }
  const source = folder ?? name!;
  const disk = { ...diskSource(draft, place, source, { bus, format, transient }), cdrom };
  const isReadonly = readonly || disk.readonly === true;
  return {
    id,
    bus,
    index,
    disk: {
      ...disk,
      readonly: isReadonly,
      ...(disk.transient !== undefined && { transient: disk.transient && !isReadonly && !cdrom }),
      cache,
      ...errors,
      ...discard,
      ...(serial !== undefined && { serial }),
      ...(limits !== null && { limits }),
    },
  };
}

/**
 * The limits of -drive, by their names and by those of earlier versions, or of -object throttle-group; null without
 * any.
 * @param prefixes before `iops-total`
 * @throws OptionError
 */
export function takeLimits(
  settings: Settings,
  prefixes: readonly string[] = ['throttling.'],
): DiskInput['limits'] | null {
  const take = (name: string, ...older: string[]): number | undefined => {
    const names = [...prefixes.map(prefix => `${prefix}${name}`), ...older];
    const values = names.flatMap(each => settings.take(each) ?? []);
    const value = values.at(-1);
    // QEMU: no limit.
    if (value === undefined || value === '0') return undefined;
    if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
    throw new OptionError(`${names[0]} takes a whole number, not ${shown(value)}`);
  };
  const iops = take('iops-total', 'iops');
  const iopsBurst = take('iops-total-max', 'iops_max');
  const bps = take('bps-total', 'bps');
  const bpsBurst = take('bps-total-max', 'bps_max');
  const limits = {
    ...(iops !== undefined && { iops }),
    ...(iopsBurst !== undefined && { 'iops-burst': iopsBurst }),
    ...(bps !== undefined && { bps: sizeText(bps) }),
    ...(bpsBurst !== undefined && { 'bps-burst': sizeText(bpsBurst) }),
  };
  const problem = limitsProblem({ iops, 'iops-burst': iopsBurst, bps, 'bps-burst': bpsBurst });
  if (problem !== null) {
    throw new OptionError(`${prefixes[0]}${problem.key.replace('-burst', '-total-max')}: ${problem.message}`);
  }
  return Object.keys(limits).length === 0 ? null : limits;
}

/** The part of a serial number that QEMU shows; undefined if it is empty. */
export function takeSerial(settings: Settings): string | undefined {
  const serial = settings.peek('serial');
  if (serial === undefined || serial.length <= MAX_SERIAL) return settings.take('serial') || undefined;
  settings.prefer('serial', [], `a serial number has at most ${MAX_SERIAL} characters`);
  return serial.slice(0, MAX_SERIAL);
}

/** Its index on its bus: index=, or bus= and unit=. @throws OptionError */
function driveIndex(settings: Settings, bus: Drive['bus']): number | undefined {
  const number = (key: string): number | undefined => {
    const value = settings.take(key);
    if (value === undefined) return undefined;
    if (/^\d{1,3}$/.test(value)) return Number(value);
    throw new OptionError(`${key} takes a whole number, not ${shown(value)}`);
  };
  const index = number('index');
  const unit = number('unit');
  if (index !== undefined) return index;
  // The first drive of the second IDE channel.
  if (unit === undefined)
    return bus === 'ide' && settings.peek('bus') !== undefined ? number('bus')! * 2 : undefined;
  // Two units on each of the two IDE channels.
  return bus === 'ide' ? (number('bus') ?? 0) * 2 + unit : unit;
}

/** `-hda`, `-fda`, `-sd`, `-cdrom`, and a file without an option. @throws OptionError */
export function addNamedDisk(
  draft: Draft,
  place: Place,
  name: string,
  {
    bus,
    cdrom = false,
    index,
  }: { readonly bus: 'ide' | 'floppy' | 'sd'; readonly cdrom?: boolean; readonly index?: number },
): void {
  draft.addDisk(place, { ...diskSource(draft, place, name, { bus }), bus, cdrom }, index);
}

type SourceSettings = {
  readonly bus: Drive['bus'];
  readonly format?: string | undefined;
  readonly transient?: boolean | undefined;
};

/** What a disk consists of: a file of this host, or a folder. @throws OptionError */
function diskSource(
  draft: Draft,
  place: Place,
  source: string | QemuFolder,
  { bus, format, transient }: SourceSettings,
): Pick<DiskInput, 'format' | 'label' | 'readonly' | 'transient'> & { readonly file: string } {
  const folder = typeof source === 'string' ? folderOfName(source) : source;
  if (folder !== null) {
    if (format !== undefined && format !== 'raw' && format !== 'vvfat')
      throw new OptionError(`format=${format}: a disk that is made of a folder has format=raw`);
    // The writes of a transient disk go elsewhere in any case.
    return folderDisk(draft, place, transient ? { ...folder, rw: true } : folder, bus === 'floppy');
  }
  const file = hostFile(String(source), draft.host);
  return {
    file,
    format: imageFormat(format, file, draft.host),
    ...(transient !== undefined && { transient }),
  };
}

/** @throws OptionError */
export function imageFormat(
  given: string | undefined,
  file: string,
  { imageFormat: look }: QemuHost,
): 'raw' | 'qcow2' | undefined {
  if (given === 'raw' || given === 'qcow2') return given;
  // QEMU's names for raw disks.
  if (given === 'host_device' || given === 'host_cdrom' || given === 'file') return 'raw';
  if (given !== undefined) {
    throw new OptionError(`format=${given}: expected raw or qcow2; convert it with qemu-img convert -O raw`);
  }
  // A guest can write any header to its raw disk, so the content must never decide the format. A file that looks raw
  // now is probed again whenever it is opened, and a qcow2 image that is probed has no backing file.
  const seen = look?.(file) ?? null;
  if (seen === null || seen === 'raw' || seen === 'qcow2') return undefined;
  throw new OptionError(
    `${file} looks like ${seen}: ${toRaw(seen, file)}, or, if a guest wrote that header to a raw disk, add format=raw`,
  );
}

/** @throws OptionError */
export function parseCache(settings: Settings): DiskCache {
  const direct = settings.takeSwitch('cache.direct') ?? settings.takeSwitch('file.cache.direct');
  const writeback = settings.takeSwitch('cache.writeback') ?? true;
  const noFlush = settings.takeSwitch('cache.no-flush') ?? settings.takeSwitch('file.cache.no-flush');
  const name = settings.take('cache');
  if (name !== undefined) {
    const mode = diskCaches.find(cache => cache === name) ?? (name === 'off' ? 'none' : undefined);
    if (mode === undefined) throw new OptionError(`cache=${name}: expected ${diskCaches.join(', ')}`);
    return mode;
  }
  if (noFlush) return 'unsafe';
  if (direct) return writeback ? 'none' : 'directsync';
  return writeback ? 'writeback' : 'writethrough';
}

/** How a disk's errors are handled. @throws OptionError */
export function takeErrorPolicy(settings: Settings): Pick<DiskInput, 'rerror' | 'werror'> {
  const rerror = settings.takeOne('rerror', ['report', 'ignore', 'stop', 'auto', 'enospc']);
  const werror = settings.takeOne('werror', [...diskErrorActions, 'auto']);
  return {
    // Reads need no space.
    ...(rerror !== undefined && rerror !== 'auto' && { rerror: rerror === 'enospc' ? 'report' : rerror }),
    ...(werror !== undefined && werror !== 'auto' && { werror }),
  };
}

/** How discards and zeros are handled. @throws OptionError */
export function takeDiscard(settings: Settings): Pick<DiskInput, 'discard' | 'detect-zeroes'> {
  const discard = settings.takeOne('discard', ['unmap', 'on', 'ignore', 'off']);
  const isIgnored = discard === 'ignore' || discard === 'off';
  const zeroes = settings.takeOne('detect-zeroes', zeroDetections) ?? 'off';
  if (zeroes === 'unmap' && isIgnored)
    throw new OptionError(`detect-zeroes=unmap needs discard=unmap: use detect-zeroes=on`);
  return { ...(isIgnored && { discard: 'ignore' }), ...(zeroes !== 'off' && { 'detect-zeroes': zeroes }) };
}
