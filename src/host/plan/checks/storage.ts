import { sentenceList } from '../../text.ts';
import type { Disk, StorageRole } from '../../use/storage.ts';
import type { Check } from '../plan.ts';
import { hostUse } from '../survey.ts';
import { block, ok, type Subject, warn } from './check.ts';

/** Mounts of the function's disks, and volumes built on them. */
export function storageCheck({ survey, fn }: Subject): Check[] {
  const { disks } = hostUse(survey, fn);
  if (disks.length === 0) return [];
  const active = disks.flatMap(disk =>
    disk.roles.filter(role => role.active).map(role => roleText(disk, role)),
  );
  if (active.length > 0) return [block('storage', fn.address, sentenceList(active))];
  const content = disks.flatMap(disk => disk.roles.map(role => roleText(disk, role)));
  if (content.length > 0) {
    return [warn('storage', fn.address, `${sentenceList(content)}: the guest gets it with all its data`)];
  }
  const names = sentenceList(disks.map(disk => disk.name));
  return [ok('storage', fn.address, `nothing uses ${names}`)];
}

/** `nvme0n1 is mounted on / (through nvme0n1p2 and dm-0)`. */
function roleText(disk: Disk, role: StorageRole): string {
  const path = role.through.filter(name => name !== disk.name);
  const through = path.length > 0 ? ` (through ${sentenceList(path)})` : '';
  return `${disk.name}${through}: ${role.text}`;
}
