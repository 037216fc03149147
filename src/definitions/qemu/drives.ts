import path from 'node:path';
import { toRaw } from '../../vmm/backends/image-format.ts';
import type { DiskInput } from '../fields/disks.ts';
import { own } from '../own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

/** A `-drive`: where its data are, and how the guest gets at it. */
export type Drive = {
  readonly id: string | undefined;
  /** `none`: a `-device` says how. */
  readonly bus: 'virtio' | 'scsi' | 'ide' | 'none';
  readonly disk: Omit<DiskInput, 'bus'>;
};

/** What of the host the reading of flags may ask for. */
export type QemuHost = {
  /** The folder that relative paths are meant in. */
  readonly cwd: string;
  /** What a file seems to hold, for a drive whose format is not given; null when that can't be told. */
  readonly imageFormat?: (file: string) => string | null;
};

const INTERFACES = ['ide', 'virtio', 'scsi', 'none', 'floppy', 'sd', 'mtd', 'pflash', 'xen'] as const;

const NO_INTERFACE: Readonly<Record<string, string>> = {
  floppy: 'there is no floppy drive: attach the image as a disk, with if=virtio',
  sd: 'there is no SD card: use if=virtio',
  mtd: 'there is no flash memory: use if=virtio',
  pflash: 'vring brings its own firmware: leave it out, and say machine: {firmware: uefi} in the definition',
  xen: 'there are no Xen disks: use if=virtio',
};

const CACHES: Readonly<Record<string, string>> = {
  writethrough: 'use cache=writeback: the guest itself flushes what has to be safe',
  directsync: 'use cache=none: the guest itself flushes what has to be safe',
  unsafe: 'use cache=writeback: what a guest flushes is always written',
};

/** @param place how many drives of the same interface there are already. @throws OptionError */
export function parseDrive(settings: Settings, host: QemuHost, place: (bus: Drive['bus']) => number): Drive {
  const bus = settings.takeOne('if', INTERFACES) ?? 'ide';
  if (bus !== 'ide' && bus !== 'virtio' && bus !== 'scsi' && bus !== 'none') {
    throw new OptionError(`if=${bus}: ${NO_INTERFACE[bus]}`);
  }
  const file = hostFile(settings.require('file'), host);
  const index = settings.take('index');
  if (index !== undefined && index !== String(place(bus))) {
    throw new OptionError(
      `index=${index}: drives are numbered as they are written: leave it out, and put them in order`,
    );
  }
  settings.accept('aio', 'io_uring');
  settings.accept('discard', 'unmap', 'on');
  const drive: Drive = {
    id: settings.take('id'),
    bus,
    disk: {
      file,
      cdrom: settings.takeOne('media', ['disk', 'cdrom']) === 'cdrom',
      format: imageFormat(settings.take('format'), file, host),
      readonly: settings.takeSwitch('readonly') ?? settings.takeSwitch('read-only') ?? false,
      cache: parseCache(settings.take('cache')),
      ...serialOf(settings),
    },
  };
  settings.end({
    snapshot: 'make an overlay with qemu-img create -b, or a copy',
    bus: 'leave it out: disks get their places in the order in which they are written',
    unit: 'leave it out: disks get their places in the order in which they are written',
    werror: 'leave it out: the guest is told of errors',
    rerror: 'leave it out: the guest is told of errors',
  });
  return drive;
}

/** `-hda`, `-cdrom` and a file without an option. */
export function ideDisk(file: string, cdrom: boolean, host: QemuHost): DiskInput {
  const resolved = hostFile(file, host);
  return { file: resolved, bus: 'ide', cdrom, format: imageFormat(undefined, resolved, host) };
}

/** @throws OptionError */
function hostFile(file: string, { cwd }: QemuHost): string {
  if (/^[a-z][a-z0-9+-]+:/i.test(file)) {
    throw new OptionError(
      `${shown(file)}: vring opens files and block devices of this host only: give a path`,
    );
  }
  return path.resolve(cwd, file);
}

function serialOf(settings: Settings): { serial?: string } {
  const serial = settings.take('serial');
  return serial === undefined ? {} : { serial };
}

function imageFormat(
  given: string | undefined,
  file: string,
  { imageFormat: look }: QemuHost,
): 'raw' | 'qcow2' | undefined {
  if (given === 'raw' || given === 'qcow2') return given;
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

function parseCache(cache: string | undefined): 'writeback' | 'none' {
  if (cache === undefined || cache === 'writeback' || cache === 'none') return cache ?? 'writeback';
  throw new OptionError(`cache=${cache}: ${own(CACHES, cache) ?? 'there are writeback and none'}`);
}
