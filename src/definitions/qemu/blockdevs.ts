import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { DRIVE_LEFT_OUT, imageFormat, parseCache, takeDiscard, takeErrorPolicy } from './drives.ts';
import { OptionError } from './error.ts';
import { hostFile } from './host-file.ts';
import type { Settings } from './settings.ts';

const PROTOCOLS = ['file', 'host_device', 'host_cdrom'];
const FORMATS = ['raw', 'qcow2'];

/** -blockdev: a file, or a format on top of one, for a -device or -machine to name. @throws OptionError */
export function readBlockdev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'driver');
  const driver = settings.require('driver');
  const id = settings.require('node-name');
  const readonly = settings.takeSwitch('read-only');
  const cache = parseCache(settings);
  const errors = takeErrorPolicy(settings);
  const discard = takeDiscard(settings);
  const below = PROTOCOLS.includes(driver)
    ? {
        file: hostFile(settings.require('filename'), draft.host),
        readonly: false,
        cache: 'writeback' as const,
      }
    : fileBelow(draft, driver, settings);
  settings.prefer('aio', ['io_uring'], 'vring chooses how data is transferred');
  settings.leaveOut({ ...DRIVE_LEFT_OUT, 'file.*': 'vring chooses how data is transferred' });
  settings.end({ backing: 'a qcow2 image itself names its backing file' });
  draft.nameDrive(place, {
    id,
    bus: 'none',
    disk: {
      file: below.file,
      // A node without a format is the content of the file.
      format: imageFormat(driver, below.file, draft.host),
      readonly: readonly ?? below.readonly,
      // What -snapshot makes of all drives, it does not make of these.
      transient: false,
      cache: cache === 'writeback' ? below.cache : cache,
      ...errors,
      ...discard,
    },
  });
}

/** @throws OptionError */
function fileBelow(draft: Draft, driver: string, settings: Settings) {
  if (!FORMATS.includes(driver)) {
    throw new OptionError(
      `vring has no block driver ${shown(driver)}: expected one of ${[...PROTOCOLS, ...FORMATS].join(', ')}`,
    );
  }
  const node = settings.take('file');
  if (node !== undefined) {
    const { disk } = draft.claimDrive(node, 'file');
    if (disk === null) throw new OptionError(`file=${node}: it has no medium`);
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
