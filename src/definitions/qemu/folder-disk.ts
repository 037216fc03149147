import path from 'node:path';
import type { FolderFormat } from '../../devices/backends/disk.ts';
import { shown } from '../words.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

/** A folder of which QEMU makes a disk with a FAT file system (QEMU, qapi/block-core.json, BlockdevOptionsVVFAT). */
export type QemuFolder = {
  readonly path: string;
  readonly fatType: string | undefined;
  readonly floppy: boolean;
  readonly rw: boolean;
  readonly label: string | undefined;
};

const FAT_TYPES = ['12', '16', '32'];

/** `fat:[floppy:][12:|16:|32:][rw:]FOLDER`; null for any other name. @throws OptionError */
export function folderOfName(name: string): QemuFolder | null {
  const parts = /^fat:((?:[^:]*:)*)([^:]*)$/.exec(name);
  if (parts === null) return null;
  const [, options = '', path = ''] = parts;
  const words = options.split(':').slice(0, -1);
  const unknown = words.find(word => !['floppy', 'rw', ...FAT_TYPES].includes(word));
  if (unknown !== undefined)
    throw new OptionError(
      `${shown(name)}: expected floppy, 12, 16, 32 or rw before the folder, not ${shown(unknown)}`,
    );
  if (path === '') throw new OptionError(`${shown(name)}: the folder is missing`);
  return {
    path,
    fatType: words.find(word => FAT_TYPES.includes(word)),
    floppy: words.includes('floppy'),
    rw: words.includes('rw'),
    label: undefined,
  };
}

/**
 * The settings of the block driver vvfat; null without a folder.
 * @param name of the file, which may name the folder and have a part of the settings
 * @throws OptionError
 */
export function takeFolder(settings: Settings, prefix: '' | 'file.', name = ''): QemuFolder | null {
  const named = folderOfName(name);
  const path = settings.take(`${prefix}dir`) ?? named?.path;
  if (path === undefined) return null;
  return {
    path,
    fatType: settings.takeOne(`${prefix}fat-type`, ['0', ...FAT_TYPES]) ?? named?.fatType,
    floppy: settings.takeSwitch(`${prefix}floppy`) ?? named?.floppy ?? false,
    rw: settings.takeSwitch(`${prefix}rw`) ?? named?.rw ?? false,
    label: settings.take(`${prefix}label`),
  };
}

export type FolderDisk = {
  readonly file: string;
  readonly format: FolderFormat;
  readonly label?: string;
  readonly readonly: boolean;
  readonly transient?: boolean;
};

/** The disk that vring makes of it; differences are noted. */
export function folderDisk(draft: Draft, place: Place, folder: QemuFolder, onFloppy: boolean): FolderDisk {
  const { fatType, rw, label } = folder;
  const floppy = folder.floppy || onFloppy;
  if (rw)
    draft.leaveOut(
      place,
      'what the guest writes is lost when the VM ends: it does not return to the folder',
      'rw',
    );
  if (fatType === '12' && !floppy) draft.leaveOut(place, 'the file system is a FAT16 or FAT32', 'FAT12');
  if (fatType !== undefined && fatType !== '12' && floppy)
    draft.leaveOut(place, 'the file system of a floppy disk is a FAT12', `FAT${fatType}`);
  return {
    file: path.resolve(draft.host.cwd, folder.path),
    format: floppy ? 'fat-floppy' : fatType === '32' ? 'fat32' : 'fat',
    ...(label !== undefined && { label }),
    readonly: !rw,
    ...(rw && { transient: true }),
  };
}
