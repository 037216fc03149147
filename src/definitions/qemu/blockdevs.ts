import { isFolder } from '../../devices/backends/disk.ts';
import type { DiskInput } from '../fields/disks.ts';
import { shown } from '../words.ts';
import type { Draft, Drive, Place } from './draft.ts';
import { DRIVE_LEFT_OUT, imageFormat, parseCache, takeDiscard, takeErrorPolicy } from './drives.ts';
import { OptionError } from './error.ts';
import { folderDisk, takeFolder } from './folder-disk.ts';
import { hostFile, insteadOf } from './host-file.ts';
import type { Settings } from './settings.ts';

const PROTOCOLS = ['file', 'host_device', 'host_cdrom'];
const FORMATS = ['raw', 'qcow2'];
/** Nodes that a guest's requests pass through, with what is below them unchanged (QEMU, qapi/block-core.json). */
const FILTERS = ['throttle', 'copy-on-read', 'preallocate'];

const OWN_BACKING = 'a qcow2 image itself names its backing file';
const WHOLE = 'a disk is the whole file: leave it out';

type Disk = NonNullable<Drive['disk']>;

/**
 * -blockdev: a file, a format, or a filter on top of another node, for a -device or -machine to name.
 * @throws OptionError
 */
export function readBlockdev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'driver');
  const id = settings.require('node-name');
  // -snapshot does not apply to these, unlike to drives.
  const node = readNode(draft, settings, place);
  const disk = { ...node, transient: node.transient ?? false };
  draft.nameDrive(place, { id, bus: 'none', disk });
}

/** A node with all that is below it. @throws OptionError */
function readNode(draft: Draft, settings: Settings, place: Place): Disk {
  const driver = settings.require('driver');
  const readonly = settings.takeSwitch('read-only');
  const own = {
    ...takeErrorPolicy(settings),
    ...takeDiscard(settings),
    ...takeGroup(draft, driver, settings),
  };
  const below = PROTOCOLS.includes(driver)
    ? protocol(draft, settings)
    : driver === 'vvfat'
      ? folder(draft, settings, place)
      : readBelow(draft, driver, settings, place);
  const cache = parseCache(settings);
  settings.prefer('aio', ['io_uring'], 'vring chooses how data is transferred');
  settings.leaveOut({ ...DRIVE_LEFT_OUT, backing: OWN_BACKING, 'backing.*': OWN_BACKING });
  const size = settings.peek('size');
  if (size !== undefined && draft.host.fileSize?.(below.file) === Number(size)) settings.take('size');
  settings.end({ size: WHOLE, offset: WHOLE });
  return {
    ...below,
    ...own,
    // A node without a format is the content of the file.
    format: keepsFormat(driver, below) ? below.format : imageFormat(driver, below.file, draft.host),
    readonly: readonly ?? below.readonly,
    cache: cache === 'writeback' ? below.cache : cache,
  };
}

/** @throws OptionError */
function protocol(draft: Draft, settings: Settings): Disk {
  return { file: hostFile(settings.require('filename'), draft.host), readonly: false, cache: 'writeback' };
}

/** @throws OptionError */
function folder(draft: Draft, settings: Settings, place: Place): Disk {
  const folder = takeFolder(settings, '');
  if (folder === null) throw new OptionError('dir is missing');
  return { ...folderDisk(draft, place, folder, false), cache: 'writeback' };
}

/** A filter's node has the format below, and so does a raw disk that is made of a folder. */
function keepsFormat(driver: string, below: Disk): boolean {
  return FILTERS.includes(driver) || driver === 'vvfat' || (driver === 'raw' && isFolder(below.format));
}

/** The node below: by its name, or in place. @throws OptionError */
function readBelow(draft: Draft, driver: string, settings: Settings, place: Place): Disk {
  if (![...FORMATS, ...FILTERS].includes(driver)) {
    const advice = insteadOf(driver) ?? `expected one of ${[...PROTOCOLS, ...FORMATS, 'vvfat'].join(', ')}`;
    throw new OptionError(`vring has no block driver ${shown(driver)}: ${advice}`);
  }
  const node = settings.take('file');
  if (node === undefined) {
    const nested = settings.nested('file');
    if (nested === null) throw new OptionError('file is missing');
    nested.take('node-name');
    return readNode(draft, nested, place);
  }
  const { disk } = draft.claimDrive(node, 'file');
  if (disk === null) throw new OptionError(`file=${node}: it has no medium`);
  return disk;
}

/** The limits of the group of a throttle node. @throws OptionError */
function takeGroup(draft: Draft, driver: string, settings: Settings): Pick<DiskInput, 'limits'> {
  const group = driver === 'throttle' ? settings.take('throttle-group') : undefined;
  const limits = group === undefined ? undefined : draft.limitsOf(group);
  return limits === undefined ? {} : { limits };
}
