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

/**
 * Block devices on hardware or on other block devices. RAM disks, zram and loop devices need no PCI function and are
 * omitted, except for loop devices on a disk.
 */
export function readBlockDevices(root: HostRoot): BlockDevice[] {
  const heads = nvmePaths(root);
  const serversOf = diskServers(root);
  const all = root.list(directory) ?? [];
  const loops = diskLoops(root, all);
  const onDisks = new Set([...loops.values()].flat());
  const names = all.filter(name => !/^(loop|ram|zram|nbd)\d/.test(name) || onDisks.has(name));
  return names
    .sort(natural)
    .map(name => readBlockDevice(root, name, heads, serversOf))
    .filter(device => device !== null)
    .map(device => ({ ...device, holders: [...device.holders, ...(loops.get(device.name) ?? [])] }));
}

/** Loop devices by the disk or partition below them, which has no link to them. */
function diskLoops(root: HostRoot, names: readonly string[]): Map<string, string[]> {
  const loops = new Map<string, string[]>();
  for (const name of names.filter(each => /^loop\d+$/.test(each))) {
    const file = root.attribute(`${directory}/${name}/loop/backing_file`);
    const disk = /^\/dev\/(?:mapper\/)?([^/]+)$/.exec(file ?? '')?.[1];
    if (disk !== undefined) loops.set(disk, [...(loops.get(disk) ?? []), name]);
  }
  return loops;
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
  const fibreChannel = fibreChannelPorts(root);
  const subsystems = '/sys/class/nvme-subsystem';
  for (const subsystem of root.list(subsystems) ?? []) {
    const path = `${subsystems}/${subsystem}`;
    const entries = root.list(path) ?? [];
    const controllers = entries
      .filter(name => /^nvme\d+$/.test(name))
      .map(
        name =>
          pciOwner(root.real(`${path}/${name}`) ?? '') ??
          fibreChannel.get(localPort(root.attribute(`${path}/${name}/address`))) ??
          null,
      )
      .filter(owner => owner !== null);
    for (const name of entries.filter(entry => /^nvme\d+n\d+$/.test(entry))) {
      heads.set(name, [...new Set(controllers)]);
    }
  }
  return heads;
}

/** PCI functions by the names of their Fibre Channel ports: the controllers of NVMe over Fibre Channel are virtual. */
function fibreChannelPorts(root: HostRoot): Map<string | null, string> {
  const hosts = '/sys/class/fc_host';
  const ports = new Map<string | null, string>();
  for (const name of root.list(hosts) ?? []) {
    const owner = pciOwner(root.real(`${hosts}/${name}`) ?? '');
    const port = root.attribute(`${hosts}/${name}/port_name`);
    if (owner !== null && port) ports.set(port.toLowerCase(), owner);
  }
  return ports;
}

/** `traddr=nn-0x..:pn-0x..,host_traddr=nn-0x..:pn-0x10000090fae39706` */
function localPort(address: string | null): string | null {
  return /host_traddr=[^,]*pn-(0x[0-9a-f]+)/i.exec(address ?? '')?.[1]?.toLowerCase() ?? null;
}
