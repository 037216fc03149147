import fs from 'node:fs';
import { isOnlyRead } from '../devices/backends/disk.ts';
import { type DeviceConfig, deviceTable } from '../devices/registry.ts';
import type { Disk } from './fields/disks.ts';

/** A disk of a definition. */
export type DiskUse = {
  /** What messages call it, such as the key of its file: `disks[0].file`. */
  readonly key: string;
  readonly file: string;
  readonly readonly: boolean;
  /** Default: probed from the content. */
  readonly format?: string | undefined;
};

/** Two disks of a VM are the same file, and at least one of them is writable. */
export class SameDiskError extends Error {
  override readonly name = 'SameDiskError';
}

type Disks = { readonly disks: readonly Disk[]; readonly devices: readonly DeviceConfig[] };

/**
 * Two disks that name the same file and are not both read-only, as a sentence about the second; null if there are none.
 */
export function sameDisk(
  definition: Disks,
): { readonly path: (string | number)[]; readonly message: string } | null {
  const found = conflict(disksOf(definition), ({ file }) => file);
  if (found === null) return null;
  const [list = '', index = '0', key = ''] = found.second.key.split(/[[\].]+/);
  return { path: [list, Number(index), key], message: sentence(found) };
}

/** Also recognizes a file by its links. @throws SameDiskError */
export function refuseSameDisk(definition: Disks & { readonly name: string }): void {
  const same = sameFile(disksOf(definition));
  if (same !== null) throw new SameDiskError(`${definition.name} cannot start: ${same}`);
}

/** The same for any disks, as a sentence that names their keys; null if no file is used twice. */
export function sameFile(disks: readonly DiskUse[]): string | null {
  const found = conflict(disks, identity);
  return found === null ? null : `${found.second.key}: ${sentence(found)}`;
}

type Conflict = { readonly first: DiskUse; readonly second: DiskUse };

function conflict(disks: readonly DiskUse[], identity: (disk: DiskUse) => string | null): Conflict | null {
  const seen = new Map<string, DiskUse[]>();
  for (const second of disks) {
    const id = identity(second);
    if (id === null) continue;
    const same = seen.get(id) ?? [];
    const first = same.find(({ readonly }) => !readonly || !second.readonly);
    if (first !== undefined) return { first, second };
    seen.set(id, [...same, second]);
  }
  return null;
}

function sentence({ first, second }: Conflict): string {
  const same =
    first.file === second.file ? second.file : `${second.file} is the same file as ${first.file}, which`;
  return `${same} is already used by ${first.key}: remove one of the two disks, or make both read-only`;
}

/** The files that the disks of a definition are in. */
export function disksOf({ disks, devices }: Disks): DiskUse[] {
  return [
    ...disks.flatMap(({ file, cdrom, readonly, transient, format }, index) =>
      file === undefined
        ? []
        : [{ key: `disks[${index}].file`, file, readonly: cdrom || readonly || transient, format }],
    ),
    ...devices.flatMap((device, index) => {
      const disk = deviceTable.disk(device);
      return disk === null
        ? []
        : [
            {
              key: `devices[${index}].path`,
              file: disk.path,
              readonly: isOnlyRead(disk),
              format: disk.format,
            },
          ];
    }),
  ];
}

/** The file behind all links to it, or the block device behind all nodes for it; null if it cannot be looked up. */
function identity({ file }: DiskUse): string | null {
  try {
    const stats = fs.statSync(file, { bigint: true });
    return stats.isBlockDevice() ? `device ${stats.rdev}` : `${stats.dev} ${stats.ino}`;
  } catch {
    // A disk that cannot be opened is reported when the VM starts.
    return null;
  }
}
