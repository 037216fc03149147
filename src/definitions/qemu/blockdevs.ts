import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { DRIVE_LEFT_OUT, hostFile, imageFormat, parseCache } from './drives.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

const PROTOCOLS = ['file', 'host_device', 'host_cdrom'];
const FORMATS = ['raw', 'qcow2'];

/** -blockdev: a file, or a format over such a node, which a -device or -machine names. @throws OptionError */
export function readBlockdev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'driver');
  const driver = settings.require('driver');
  const id = settings.require('node-name');
  const readonly = settings.takeSwitch('read-only');
  const cache = parseCache(settings);
  const below = PROTOCOLS.includes(driver)
    ? {
        file: hostFile(settings.require('filename'), draft.host),
        readonly: false,
        cache: 'writeback' as const,
      }
    : fileBelow(draft, driver, settings);
  settings.prefer('aio', ['io_uring'], 'vring decides how data is moved');
  settings.prefer('discard', ['unmap', 'on'], 'what a guest discards is given back to the host');
  settings.leaveOut({ ...DRIVE_LEFT_OUT, 'file.*': 'vring decides how data is moved' });
  settings.end({ backing: 'which file is behind a qcow2 image is said in the image' });
  draft.nameDrive(place, {
    id,
    bus: 'none',
    disk: {
      file: below.file,
      // A node without a format of its own is what is in the file.
      format: imageFormat(driver, below.file, draft.host),
      readonly: readonly ?? below.readonly,
      cache: cache === 'none' ? cache : below.cache,
    },
  });
}

/** @throws OptionError */
function fileBelow(draft: Draft, driver: string, settings: Settings) {
  if (!FORMATS.includes(driver)) {
    throw new OptionError(
      `vring has no block driver ${shown(driver)}: there are ${[...PROTOCOLS, ...FORMATS].join(', ')}`,
    );
  }
  const node = settings.take('file');
  if (node !== undefined) {
    const { disk } = draft.claimDrive(node, 'file');
    if (disk === null) throw new OptionError(`file=${node}: nothing is in it`);
    return { file: disk.file, readonly: disk.readonly ?? false, cache: disk.cache ?? 'writeback' };
  }
  settings.accept('file.driver', ...PROTOCOLS);
  const readonly = settings.takeSwitch('file.read-only') ?? false;
  return {
    file: hostFile(settings.require('file.filename'), draft.host),
    readonly,
    cache: 'writeback' as const,
  };
}
