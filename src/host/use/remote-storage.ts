import type { HostRoot } from '../root.ts';
import type { Mount } from './mounts.ts';

/** The server of a disk or file system that is reached through the network. */
export type StorageServer = {
  /** `iSCSI`, `NVMe over tcp`, `nfs4`. */
  readonly kind: string;
  readonly address: string;
  /** The interface that the connection is bound to; null for that of the route to the server. */
  readonly interfaceName: string | null;
};

/** A disk or file system on a server. */
export type RemoteStorage = {
  readonly server: StorageServer;
  /** `the disk sda`, `/srv`. */
  readonly what: string;
  /** How the host uses it, `mounted on /`; empty if it is connected but unused. */
  readonly uses: readonly string[];
};

const ISCSI = '/sys/class/iscsi_connection';
const NVME = '/sys/class/nvme';
const SUBSYSTEMS = '/sys/class/nvme-subsystem';

/** Finds the servers of disks: `real` is the path of a disk in sysfs without links. */
export function diskServers(root: HostRoot): (name: string, real: string) => readonly StorageServer[] {
  const sessions = Map.groupBy(iscsiConnections(root), ({ session }) => session);
  const controllers = nvmeControllers(root);
  const heads = nvmeHeads(root);
  return (name, real) => {
    // /sys/devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sda
    const session = /\/session(\d+)\//.exec(real)?.[1];
    if (session !== undefined) return (sessions.get(session) ?? []).map(({ server }) => server);
    const own = real.split('/').find(part => controllers.has(part));
    const names = own === undefined ? (heads.get(name) ?? []) : [own];
    return names.map(each => controllers.get(each)).filter(server => server !== undefined);
  };
}

function iscsiConnections(root: HostRoot): { readonly session: string; readonly server: StorageServer }[] {
  return (root.list(ISCSI) ?? []).flatMap(name => {
    const session = /^connection(\d+):\d+$/.exec(name)?.[1];
    const path = `${ISCSI}/${name}`;
    const address = root.attribute(`${path}/address`) || root.attribute(`${path}/persistent_address`);
    if (session === undefined || !address) return [];
    return [{ session, server: { kind: 'iSCSI', address, interfaceName: null } }];
  });
}

/** Controllers that are reached by IP; PCI and Fibre Channel are other transports. */
function nvmeControllers(root: HostRoot): Map<string, StorageServer> {
  const found = (root.list(NVME) ?? []).flatMap(name => {
    const transport = root.attribute(`${NVME}/${name}/transport`);
    if (transport !== 'tcp' && transport !== 'rdma') return [];
    // traddr=192.0.2.1,trsvcid=4420,host_iface=eth1,src_addr=192.0.2.9
    const words = (root.attribute(`${NVME}/${name}/address`) ?? '').split(',').map(word => word.split('='));
    const word = (key: string): string | null => words.find(each => each[0] === key)?.[1] ?? null;
    const address = word('traddr');
    if (address === null) return [];
    const server = { kind: `NVMe over ${transport}`, address, interfaceName: word('host_iface') };
    return [[name, server] as const];
  });
  return new Map(found);
}

/** Names of controllers by a namespace that has several paths. */
function nvmeHeads(root: HostRoot): Map<string, readonly string[]> {
  const heads = new Map<string, readonly string[]>();
  for (const subsystem of root.list(SUBSYSTEMS) ?? []) {
    const entries = root.list(`${SUBSYSTEMS}/${subsystem}`) ?? [];
    const controllers = entries.filter(name => /^nvme\d+$/.test(name));
    for (const name of entries.filter(entry => /^nvme\d+n\d+$/.test(entry))) heads.set(name, controllers);
  }
  return heads;
}

const NETWORK_TYPES = /^(nfs4?|cifs|smb3|ceph|fuse\.glusterfs|glusterfs|9p|afs|lustre|ocfs2|gfs2)$/;
const ADDRESS = /(?:^|[/@,[])(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]+)(?=[\]:/,@]|$)/gi;

/** Mounted file systems of servers whose address is known: by the `addr=` option, or in the source. */
export function remoteMounts(mounts: readonly Mount[]): RemoteStorage[] {
  return mounts.flatMap(({ type, point, source, options }) => {
    if (!NETWORK_TYPES.test(type)) return [];
    const option = options.find(each => each.startsWith('addr='))?.slice('addr='.length);
    const addresses = option === undefined ? [...source.matchAll(ADDRESS)].map(match => match[1]!) : [option];
    return addresses.map(address => ({
      server: { kind: type, address, interfaceName: null },
      what: source,
      uses: [`mounted on ${point}`],
    }));
  });
}
