import type { HostRoot } from '../root.ts';
import { type BlockDevice, readBlockDevices } from './block-devices.ts';
import { type Mount, readMounts, readSwaps } from './mounts.ts';
import { type RemoteStorage, remoteMounts } from './remote-storage.ts';

/** Something that depends on a disk, and the devices between them. */
export type StorageRole = {
  readonly kind: 'mount' | 'swap' | 'lvm' | 'md' | 'luks' | 'zfs' | 'multipath' | 'mapping' | 'content';
  /** False for a signature that nothing uses now: without the disk, data becomes inaccessible, but nothing stops. */
  readonly active: boolean;
  /** From the disk upward: `nvme0n1`, `nvme0n1p3`, `dm-0`. */
  readonly through: readonly string[];
  readonly text: string;
};

export type Disk = {
  readonly name: string;
  readonly bytes: number;
  readonly functions: readonly string[];
  readonly roles: readonly StorageRole[];
};

type Storage = {
  readonly devices: ReadonlyMap<string, BlockDevice>;
  readonly partitions: ReadonlyMap<string | null, readonly BlockDevice[]>;
  readonly mounts: ReadonlyMap<string, readonly Mount[]>;
  /** Devices with a mounted file system, even in a container. */
  readonly mounted: ReadonlySet<string>;
  readonly swaps: ReadonlySet<string>;
  readonly pools: ReadonlySet<string>;
};

/**
 * Disks on PCI functions, with everything mounted from them or built on them, and storage that is reached through the
 * network.
 */
export function readStorage(root: HostRoot): {
  readonly disks: readonly Disk[];
  readonly remote: readonly RemoteStorage[];
} {
  const devices = readBlockDevices(root);
  const mounts = readMounts(root);
  const storage: Storage = {
    devices: new Map(devices.map(device => [device.name, device])),
    partitions: Map.groupBy(devices, device => device.partitionOf),
    mounts: mountsByDevice(root, mounts, devices),
    mounted: mountedDevices(root),
    swaps: new Set(readSwaps(root).map(path => deviceName(path, devices))),
    pools: importedPools(root, mounts),
  };
  return {
    disks: localDisks(devices, storage),
    remote: [...remoteDisks(devices, storage), ...remoteMounts(mounts)],
  };
}

function remoteDisks(devices: readonly BlockDevice[], storage: Storage): RemoteStorage[] {
  return devices.flatMap(device => {
    const active = rolesOf(device, [], storage).filter(role => role.active);
    const uses = [...new Set(active.map(role => role.text))];
    return device.servers.map(server => ({ server, what: `the disk ${device.name}`, uses }));
  });
}

function localDisks(devices: readonly BlockDevice[], storage: Storage): Disk[] {
  return devices
    .filter(device => device.partitionOf === null && device.functions.length > 0)
    .map(device => ({
      name: device.name,
      bytes: device.bytes,
      functions: device.functions,
      roles: rolesOf(device, [], storage),
    }))
    .map(disk => withUnplacedPools(disk, storage));
}

/**
 * ZFS opens its disks without a trace in sysfs: where udev has kept no signatures, any disk that nothing else uses
 * may be part of an imported pool.
 */
function withUnplacedPools(disk: Disk, storage: Storage): Disk {
  const unplaced = unplacedPools(storage);
  if (disk.roles.length > 0 || unplaced.length === 0) return disk;
  const text = `may be part of the imported ZFS pool ${unplaced.join(' or ')}`;
  return { ...disk, roles: [{ kind: 'zfs', active: true, through: [disk.name], text }] };
}

function rolesOf(device: BlockDevice, below: readonly string[], storage: Storage): StorageRole[] {
  if (below.includes(device.name)) return [];
  const through = [...below, device.name];
  const roles: StorageRole[] = [];
  const add = (kind: StorageRole['kind'], active: boolean, text: string) =>
    roles.push({ kind, active, through, text });

  for (const mount of storage.mounts.get(device.name) ?? []) add('mount', true, `mounted on ${mount.point}`);
  if (storage.mounted.has(device.name) && !storage.mounts.has(device.name)) {
    add('mount', true, 'mounted, but not where this process sees it (in a container, for example)');
  }
  if (storage.swaps.has(device.name)) add('swap', true, 'active swap');
  const pool = poolText(device, storage);
  if (pool !== null) add('zfs', pool.active, pool.text);
  for (const name of device.holders) {
    const holder = storage.devices.get(name);
    if (!holder) continue;
    const { kind, text } = describeHolder(holder);
    add(kind, true, text);
    roles.push(...rolesOf(holder, through, storage));
  }
  for (const partition of storage.partitions.get(device.name) ?? []) {
    roles.push(...rolesOf(partition, through, storage));
  }
  if (roles.length === 0 && device.signature !== null) add('content', false, `holds ${contentText(device)}`);
  return roles;
}

/** Solaris /usr, which ZFS gives to partitions it makes. */
const ZFS_PARTITION = '6a898cc3-1dd2-11b2-99a6-080020736631';

/** Whether a device is part of a ZFS pool, as far as its signature shows; null if nothing shows it. */
function poolText(
  { signature, label, partitionType }: BlockDevice,
  storage: Storage,
): { readonly active: boolean; readonly text: string } | null {
  if (signature === 'zfs_member') {
    if (label !== null && storage.pools.has(label)) {
      return { active: true, text: `part of the imported ZFS pool ${label}` };
    }
    // A pool may have been renamed when it was imported, after udev read its name.
    const renamed = unplacedPools(storage);
    return renamed.length > 0
      ? { active: true, text: `may be part of the imported ZFS pool ${renamed.join(' or ')}` }
      : { active: false, text: `part of a ZFS pool ${label ?? ''}`.trim() };
  }
  // Cache devices have no signature that udev knows.
  if (signature !== null || partitionType !== ZFS_PARTITION || storage.pools.size === 0) return null;
  return {
    active: true,
    text: `may be a cache of the imported ZFS pool ${[...storage.pools].join(' or ')}`,
  };
}

/** Imported pools that no signature names. */
function unplacedPools({ devices, pools }: Storage): string[] {
  const placed = new Set(
    [...devices.values()].filter(each => each.signature === 'zfs_member').map(each => each.label),
  );
  return [...pools].filter(pool => !placed.has(pool));
}

function describeHolder(holder: BlockDevice): Pick<StorageRole, 'kind' | 'text'> {
  if (holder.raid !== null)
    return { kind: 'md', text: `member of the RAID array ${holder.name} (${holder.raid})` };
  const name = holder.mapper?.name ?? holder.name;
  switch (holder.mapper?.owner) {
    case 'LVM':
      return { kind: 'lvm', text: `below the LVM volume ${name}` };
    case 'CRYPT':
      return { kind: 'luks', text: `below the opened encrypted volume ${name}` };
    case 'mpath':
      return { kind: 'multipath', text: `a path of the multipath device ${name}` };
    default:
      return { kind: 'mapping', text: `below the block device ${name}` };
  }
}

const signatures: Readonly<Record<string, string>> = {
  LVM2_member: 'an LVM physical volume',
  crypto_LUKS: 'a locked LUKS volume',
  linux_raid_member: 'a RAID member',
  swap: 'a swap area',
};

const EFI_SYSTEM_PARTITION = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';

function contentText({ signature, label, partitionType }: BlockDevice): string {
  const name = label ? ` "${label}"` : '';
  if (partitionType === EFI_SYSTEM_PARTITION) {
    return `an EFI system partition${name}, from which this host may boot`;
  }
  return `${signatures[signature!] ?? `a ${signature} file system`}${name}`;
}

/** Mounts by block device name; a btrfs file system counts for each of its devices, a pool for none (see `pools`). */
function mountsByDevice(
  root: HostRoot,
  mounts: readonly Mount[],
  devices: readonly BlockDevice[],
): Map<string, Mount[]> {
  const byNumber = new Map(devices.map(device => [device.number, device.name]));
  const btrfs = (root.list('/sys/fs/btrfs') ?? []).map(id => root.list(`/sys/fs/btrfs/${id}/devices`) ?? []);
  const result = new Map<string, Mount[]>();
  for (const mount of mounts) {
    const source = byNumber.get(mount.device) ?? deviceName(mount.source, devices);
    const members = mount.type === 'btrfs' ? btrfs.find(names => names.includes(source)) : undefined;
    // bcachefs: /dev/sda:/dev/sdb
    const listed = mount.source.startsWith('/dev/') ? mount.source.split(':') : [];
    const several = listed.length > 1 ? listed.map(path => deviceName(path, devices)) : undefined;
    for (const name of members ?? several ?? [source]) result.set(name, [...(result.get(name) ?? []), mount]);
  }
  return result;
}

/** Devices in /sys/fs, which lists the file systems that are mounted in any mount namespace. */
function mountedDevices(root: HostRoot): ReadonlySet<string> {
  const single = ['ext4', 'xfs', 'f2fs', 'erofs'].flatMap(type => root.list(`/sys/fs/${type}`) ?? []);
  const several = (root.list('/sys/fs/btrfs') ?? []).flatMap(
    id => root.list(`/sys/fs/btrfs/${id}/devices`) ?? [],
  );
  return new Set([...single, ...several]);
}

/** `/dev/mapper/vg-root` and `/dev/dm-0` as `dm-0`, `/dev/sda1` as `sda1`. */
function deviceName(path: string, devices: readonly BlockDevice[]): string {
  const last = path.split('/').at(-1) ?? '';
  return devices.find(device => device.mapper?.name === last)?.name ?? last;
}

/** Pools that the zfs module has imported, and those with a data set mounted. */
function importedPools(root: HostRoot, mounts: readonly Mount[]): Set<string> {
  const names = (root.list('/proc/spl/kstat/zfs') ?? []).filter(name =>
    root.exists(`/proc/spl/kstat/zfs/${name}/state`),
  );
  const mounted = mounts.filter(mount => mount.type === 'zfs');
  return new Set([...names, ...mounted.map(mount => mount.source.split('/')[0]!)]);
}
