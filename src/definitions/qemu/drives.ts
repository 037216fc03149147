import path from 'node:path';
import { own } from '../../text/own.ts';
import { toRaw } from '../../vmm/backends/image-format.ts';
import type { DiskInput } from '../fields/disks.ts';
import { shown } from '../words.ts';
import type { Draft, Drive, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { readFlashDrive } from './firmware.ts';
import type { QemuHost } from './host.ts';
import type { LeftOutSettings, Settings } from './settings.ts';

const INTERFACES = ['ide', 'virtio', 'scsi', 'none', 'floppy', 'sd', 'mtd', 'pflash', 'xen'] as const;

const NO_INTERFACE: Readonly<Record<string, string>> = {
  floppy: 'there is no floppy drive: attach the image as a disk, with if=virtio',
  sd: 'there is no SD card: use if=virtio',
  mtd: 'there is no flash memory: use if=virtio',
  xen: 'there are no Xen disks: use if=virtio',
};

const OWN_QUEUES = 'vring decides how data is moved';
const FLUSHED = 'what a guest flushes is written before it goes on, as with writeback';
const THROTTLE = 'disk I/O is not throttled in this version';

/** What of a drive or of a block node the guest does not see. */
export const DRIVE_LEFT_OUT: LeftOutSettings = {
  werror: 'the guest is told of errors',
  rerror: 'the guest is told of errors',
  'detect-zeroes': 'blocks of zeroes are written as they are',
  'copy-on-read': 'it is for images with a backing file',
  'file.locking': 'a disk is locked against other users',
  locking: 'a disk is locked against other users',
  'file.aio': OWN_QUEUES,
  'cache.no-flush': FLUSHED,
  'auto-read-only': 'a disk that cannot be written is to be given as read-only',
  'lazy-refcounts': OWN_QUEUES,
  'l2-cache-size': OWN_QUEUES,
  'refcount-cache-size': OWN_QUEUES,
  'cache-clean-interval': OWN_QUEUES,
  'pass-discard-*': OWN_QUEUES,
  'overlap-check*': OWN_QUEUES,
  'throttling.*': THROTTLE,
  'throttling-group': THROTTLE,
  'iops*': THROTTLE,
  'bps*': THROTTLE,
  group: THROTTLE,
  boot: 'it is for old versions of QEMU',
  bus: 'disks get their places in the order of their index',
  addr: 'disks get their places in the order of their index',
  'x-*': OWN_QUEUES,
};

/** -drive. @throws OptionError */
export function readDrive(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text);
  if (settings.take('if') === 'pflash') {
    readFlashDrive(draft, settings, place);
    return;
  }
  const drive = parseDrive(settings, draft.host);
  if (drive.bus === 'none') draft.nameDrive(place, drive);
  else if (drive.disk === null) draft.leaveOut(place, 'nothing is in it');
  else draft.addDisk(place, { ...drive.disk, bus: drive.bus }, drive.index);
}

/** @throws OptionError */
export function parseDrive(settings: Settings, host: QemuHost): Drive {
  const bus = settings.takeOne('if', INTERFACES) ?? 'ide';
  if (bus !== 'ide' && bus !== 'virtio' && bus !== 'scsi' && bus !== 'none') {
    throw new OptionError(`if=${bus}: ${NO_INTERFACE[bus]}`);
  }
  const cdrom = settings.takeOne('media', ['disk', 'cdrom']) === 'cdrom';
  const name = settings.take('file') ?? settings.take('file.filename');
  settings.prefer('file.driver', ['file', 'host_device', 'host_cdrom'], OWN_QUEUES);
  const id = settings.take('id');
  const index = driveIndex(settings, bus);
  const format = settings.take('format') ?? settings.take('driver');
  const readonly = settings.takeSwitch('readonly') ?? settings.takeSwitch('read-only') ?? false;
  if (settings.takeSwitch('snapshot'))
    throw new OptionError('snapshot=on: make an overlay with qemu-img create -b, or a copy');
  const cache = parseCache(settings);
  const serial = settings.take('serial');
  settings.prefer('aio', ['io_uring'], OWN_QUEUES);
  settings.prefer('discard', ['unmap', 'on'], 'what a guest discards is given back to the host');
  settings.leaveOut(DRIVE_LEFT_OUT);
  settings.end();
  if (!name) {
    if (cdrom) return { id, bus, index, disk: null };
    throw new OptionError('file is missing');
  }
  const file = hostFile(name, host);
  return {
    id,
    bus,
    index,
    disk: {
      file,
      cdrom,
      format: imageFormat(format, file, host),
      readonly,
      cache,
      ...(serial !== undefined && { serial }),
    },
  };
}

/** Its place among the drives of its bus: index=, or bus= and unit=. @throws OptionError */
function driveIndex(settings: Settings, bus: Drive['bus']): number | undefined {
  const number = (key: string): number | undefined => {
    const value = settings.take(key);
    if (value === undefined) return undefined;
    if (/^\d{1,3}$/.test(value)) return Number(value);
    throw new OptionError(`${key} takes a whole number, not ${shown(value)}`);
  };
  const index = number('index');
  const unit = number('unit');
  if (index !== undefined || unit === undefined) return index;
  // Two units on each of the two IDE channels.
  return bus === 'ide' ? (number('bus') ?? 0) * 2 + unit : unit;
}

/** `-hda`, `-cdrom` and a file without an option. */
export function ideDisk(file: string, cdrom: boolean, host: QemuHost): DiskInput {
  const resolved = hostFile(file, host);
  return { file: resolved, bus: 'ide', cdrom, format: imageFormat(undefined, resolved, host) };
}

/** @throws OptionError */
export function hostFile(name: string, { cwd }: QemuHost): string {
  const file = name.replace(/^file:(?!.*:\/\/)/, '');
  if (/^[a-z][a-z0-9+-]+:/i.test(file)) {
    throw new OptionError(
      `${shown(file)}: vring opens files and block devices of this host only: give a path`,
    );
  }
  return path.resolve(cwd, file);
}

/** @throws OptionError */
export function imageFormat(
  given: string | undefined,
  file: string,
  { imageFormat: look }: QemuHost,
): 'raw' | 'qcow2' | undefined {
  if (given === 'raw' || given === 'qcow2') return given;
  // What QEMU calls a raw disk that is one.
  if (given === 'host_device' || given === 'file') return 'raw';
  if (given !== undefined) {
    throw new OptionError(
      `format=${given}: expected raw or qcow2; qemu-img convert -O raw makes a raw image of it`,
    );
  }
  // A guest can write any header into its raw disk: what a file looks like is no reason to take it for that. And what
  // looks raw now is looked at again whenever the disk is opened.
  const seen = look?.(file) ?? null;
  if (seen === null || seen === 'raw') return undefined;
  throw new OptionError(
    `${file} looks like ${seen}: ${toRaw(seen, file)}, or say format=raw if its guest wrote that`,
  );
}

/** QEMU's names of cache modes; the guest itself flushes what has to be safe. */
const CACHES: Readonly<Record<string, { cache: 'writeback' | 'none'; reason?: string }>> = {
  writeback: { cache: 'writeback' },
  none: { cache: 'none' },
  off: { cache: 'none' },
  writethrough: {
    cache: 'writeback',
    reason: 'it becomes writeback: the guest itself flushes what has to be safe',
  },
  directsync: { cache: 'none', reason: 'it becomes none: the guest itself flushes what has to be safe' },
  unsafe: { cache: 'writeback', reason: 'it becomes writeback: what a guest flushes is always written' },
};

/** @throws OptionError */
export function parseCache(settings: Settings): 'writeback' | 'none' {
  const direct = settings.takeSwitch('cache.direct') ?? settings.takeSwitch('file.cache.direct');
  settings.prefer('cache.writeback', ['on', 'true'], 'the guest itself flushes what has to be safe');
  const name = settings.take('cache');
  if (name === undefined) return direct ? 'none' : 'writeback';
  const mode = own(CACHES, name);
  if (mode === undefined) throw new OptionError(`cache=${name}: expected ${Object.keys(CACHES).join(', ')}`);
  if (mode.reason !== undefined) settings.prefer('cache', ['writeback', 'none'], mode.reason);
  return mode.cache;
}
