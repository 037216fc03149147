import type { HostRoot } from '../root.ts';
import { integer, keyValues, natural, printable } from '../text.ts';
import { pciOwner } from './network.ts';
import { diskServers, type StorageServer } from './remote-storage.ts';

const directory = '/sys/class/block';

/** A disk, a partition or a device built on them, as the block layer connects them. */
export type BlockDevice = {
  readonly name: string;
  /** `major:minor`. */
  readonly number: string;
  readonly bytes: number;
  /** Disk of a partition. */
  readonly partitionOf: string | null;
  /** The PCI functions it is directly on: one, or several for an NVMe namespace with several paths. */
  readonly functions: readonly string[];
  /** Its servers, if it is reached through the network. */
  readonly servers: readonly StorageServer[];
  /** Devices built on it. */
  readonly holders: readonly string[];
  /** Device mapper name, and the owner in its UUID: `LVM`, `CRYPT`, `mpath`... */
  readonly mapper: { readonly name: string; readonly owner: string | null } | null;
  /** RAID level of an md device. */
  readonly raid: string | null;
  /** Its signature, as udev found it: `ext4`, `swap`, `LVM2_member`, `zfs_member`... */
  readonly signature: string | null;
  readonly label: string | null;
  /** GPT type of a partition, a UUID. */
  readonly partitionType: string | null;
};

/** Block devices on hardware or on other block devices, without loop, ram and zram devices, which need no PCI function. */
export function readBlockDevices(root: HostRoot): BlockDevice[] {
  const heads = nvmePaths(root);
  const serversOf = diskServers(root);
  const names = (root.list(directory) ?? []).filter(name => !/^(loop|ram|zram|nbd)\d/.test(name));
  return names
    .sort(natural)
    .map(name => readBlockDevice(root, name, heads, serversOf))
    .filter(device => device !== null);
}

function readBlockDevice(
  root: HostRoot,
  name: string,
  heads: ReadonlyMap<string, readonly string[]>,
  serversOf: ReturnType<typeof diskServers>,
): BlockDevice | null {
  const path = `${directory}/${name}`;
  const real = root.real(path);
  const number = root.attribute(`${path}/dev`);
  if (real === null || number === null) return null;
  const partition = root.exists(`${path}/partition`);
  const disk = partition ? real.split('/').at(-2)! : null;
  const owner = pciOwner(real);
  const udev = keyValues((root.text(`/run/udev/data/b${number}`) ?? '').replaceAll(/^E:/gm, ''));
  const uuid = root.attribute(`${path}/dm/uuid`);
  const mapperName = root.attribute(`${path}/dm/name`);
  return {
    name: printable(name),
    number,
    bytes: (integer(root.attribute(`${path}/size`)) ?? 0) * 512,
    partitionOf: disk,
    functions: owner ? [owner] : (heads.get(disk ?? name) ?? []),
    servers: owner === null && disk === null ? serversOf(name, real) : [],
    holders: root.list(`${path}/holders`) ?? [],
    mapper: mapperName === null ? null : { name: printable(mapperName), owner: mapperOwner(uuid) },
    raid: root.attribute(`${path}/md/level`),
    signature: udev.get('ID_FS_TYPE') ? printable(udev.get('ID_FS_TYPE')!) : null,
    partitionType: udev.get('ID_PART_ENTRY_TYPE')?.toLowerCase() ?? null,
    label: udev.get('ID_FS_LABEL') ? printable(udev.get('ID_FS_LABEL')!) : null,
  };
}

/** `CRYPT-LUKS2-...`, `LVM-...`, `part1-mpath-...`: the owner of the mapping. */
function mapperOwner(uuid: string | null): string | null {
  const parts = (uuid ?? '').split('-').filter(part => !/^part\d+$/.test(part));
  return parts[0] ? printable(parts[0]) : null;
}

/**
 * With native NVMe multipath, a namespace's block device is virtual; its subsystem links to the controllers that serve
 * it. A controller missed here could be unbound under a mounted disk.
 */
function nvmePaths(root: HostRoot): Map<string, string[]> {
  const heads = new Map<string, string[]>();
  const subsystems = '/sys/class/nvme-subsystem';
  for (const subsystem of root.list(subsystems) ?? []) {
    const path = `${subsystems}/${subsystem}`;
    const entries = root.list(path) ?? [];
    const controllers = entries
      .filter(name => /^nvme\d+$/.test(name))
      .map(name => pciOwner(root.real(`${path}/${name}`) ?? ''))
      .filter(owner => owner !== null);
    for (const name of entries.filter(entry => /^nvme\d+n\d+$/.test(entry))) {
      heads.set(name, [...new Set(controllers)]);
    }
  }
  return heads;
}
