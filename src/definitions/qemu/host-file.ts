import path from 'node:path';
import { own } from '../../text/own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';

/** What to do for disks that QEMU reaches by a protocol of its own. */
const INSTEAD: Readonly<Record<string, string>> = {
  fat: 'only a disk can be made of a folder',
  nbd: 'attach it to this host with nbd-client, and give its /dev/nbd',
  rbd: 'attach it to this host with rbd map, and give its /dev/rbd',
  iscsi: 'attach it to this host with iscsiadm, and give its path in /dev/disk',
  http: 'download it first',
  https: 'download it first',
  ftp: 'download it first',
  json: 'give the path of the image and its format',
  'null-co': 'make an empty file of that size with truncate',
  blkdebug: 'give the path below it',
};

/**
 * What to do instead of opening a disk by a protocol or block driver that vring does not have; null if there is no
 * advice.
 */
export function insteadOf(protocol: string): string | null {
  return own(INSTEAD, protocol.toLowerCase()) ?? null;
}

/** The path of a file of this host that QEMU names. @throws OptionError */
export function hostFile(name: string, { cwd }: QemuHost): string {
  const file = name.replace(/^file:(?!.*:\/\/)/, '');
  const protocol = /^([a-z][a-z0-9+-]+):/i.exec(file)?.[1];
  if (protocol !== undefined) {
    const advice = insteadOf(protocol) ?? 'give a path';
    throw new OptionError(`${shown(file)}: vring only opens files and block devices of this host: ${advice}`);
  }
  return path.resolve(cwd, file);
}
