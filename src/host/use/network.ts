import { parseAddress } from '../pci/address.ts';
import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';
import type { RemoteStorage } from './remote-storage.ts';
import { isDefault, type Route, readRoutes, routeTo } from './routes.ts';
import { readSshSessions } from './ssh.ts';
import { carriedBy } from './tunnels.ts';

const directory = '/sys/class/net';

export type NetworkInterface = {
  readonly name: string;
  readonly mac: string | null;
  /** `up`, `down`, `unknown`, `lowerlayerdown`... */
  readonly state: string;
  /** Its PCI function, or null. */
  readonly function: string | null;
  /** With prefix length. */
  readonly addresses: readonly string[];
  readonly routes: readonly Route[];
  /** Interfaces directly on top of it: bonds, bridges, VLANs, macvtaps. */
  readonly uppers: readonly string[];
  /** Clients of SSH sessions that use it. */
  readonly sshClients: readonly string[];
  /** Disks and file systems on servers that it reaches. */
  readonly storage: readonly RemoteStorage[];
  /** Tunnels and switch ports whose packets it may carry, although sysfs does not link them to it: `wg0`. */
  readonly mayCarry: readonly string[];
};

/** Something that depends on an interface, and the interfaces between them. */
export type NetworkRole = {
  readonly kind: 'ssh' | 'storage' | 'default-route' | 'upper' | 'address' | 'idle-storage' | 'route';
  /** From the interface itself up to the one that has the role: `eth0`, `bond0`, `br0`. */
  readonly through: readonly string[];
  readonly text: string;
};

/**
 * All interfaces of the network namespace, by name.
 * @param remote the disks and file systems that the host has from servers
 */
export function readNetwork(root: HostRoot, remote: readonly RemoteStorage[]): NetworkInterface[] {
  const routes = readRoutes(root);
  const routesOf = Map.groupBy(routes, route => route.interface);
  const addresses = root.addresses();
  const sessions = readSshSessions(root).map(session => ({
    ...session,
    replies: routeTo(routes, session.client)?.interface,
  }));
  const storageOf = Map.groupBy(
    remote,
    ({ server }) => server.interfaceName ?? routeTo(routes, server.address)?.interface,
  );
  const names = (root.list(directory) ?? []).filter(name => root.link(`${directory}/${name}`) !== null);
  const found = names.sort(natural).map(name => {
    const path = `${directory}/${name}`;
    const own = addresses[name] ?? [];
    const plain = new Set(own.map(address => address.split('/')[0]));
    return {
      name: printable(name),
      mac: root.attribute(`${path}/address`),
      state: root.attribute(`${path}/operstate`) ?? 'unknown',
      function: pciOwner(root.real(path) ?? ''),
      addresses: own,
      routes: routesOf.get(name) ?? [],
      uppers: (root.list(path) ?? [])
        .filter(entry => entry.startsWith('upper_'))
        .map(entry => entry.slice('upper_'.length)),
      sshClients: sessions
        .filter(session => plain.has(session.server) || session.replies === name)
        .map(session => session.client),
      storage: storageOf.get(name) ?? [],
    };
  });
  const leaving = new Set([
    ...sessions.map(session => session.replies),
    ...routes.filter(isDefault).map(route => route.interface),
    ...storageOf.keys(),
  ]);
  const carried = carriedBy(root, found, leaving);
  return found.map(each => ({ ...each, mayCarry: carried(each) }));
}

/** The innermost PCI function in a sysfs path: a USB NIC counts as its controller's. */
export function pciOwner(path: string): string | null {
  return path.split('/').findLast(name => parseAddress(name) !== null) ?? null;
}

/** What depends on an interface and on the interfaces on top of it, most important first. */
export function networkRoles(name: string, all: readonly NetworkInterface[]): NetworkRole[] {
  const byName = new Map(all.map(each => [each.name, each]));
  const roles: NetworkRole[] = [];
  const visit = (current: string, through: readonly string[]): void => {
    const each = byName.get(current);
    if (!each || through.includes(current)) return;
    const path = [...through, current];
    const add = (kind: NetworkRole['kind'], text: string) => roles.push({ kind, through: path, text });
    for (const { kind, text } of traffic(each)) add(kind, `carries ${text}`);
    for (const tunnel of each.mayCarry) {
      for (const { kind, text } of traffic(byName.get(tunnel)!)) {
        add(kind, `may carry ${text}, which goes through ${tunnel}`);
      }
    }
    if (through.length > 0) add('upper', `is part of ${current}`);
    for (const address of each.addresses) {
      if (!address.startsWith('fe80:')) add('address', `has the address ${address}`);
    }
    const others = each.routes.filter(route => !isDefault(route) && route.gateway !== null);
    for (const route of others) add('route', `carries the route to ${route.destination}`);
    for (const upper of each.uppers) visit(upper, path);
  };
  visit(name, []);
  return roles.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

const ORDER: readonly NetworkRole['kind'][] = [
  'ssh',
  'storage',
  'default-route',
  'upper',
  'address',
  'idle-storage',
  'route',
];

/** What goes through an interface itself, phrased as the object of `carries`. */
function traffic(each: NetworkInterface): Pick<NetworkRole, 'kind' | 'text'>[] {
  const { sshClients, routes, storage } = each;
  return [
    ...(sshClients.length > 0
      ? [{ kind: 'ssh' as const, text: `the SSH session from ${sshClients.join(', ')}` }]
      : []),
    ...storage.map(({ server, what, uses }) => ({
      kind: uses.length > 0 ? ('storage' as const) : ('idle-storage' as const),
      text: [`${what} (${server.kind}, ${server.address})`, ...uses].join(', '),
    })),
    ...routes.filter(isDefault).map(route => ({
      kind: 'default-route' as const,
      text: `the default route${route.gateway ? ` to ${route.gateway}` : ''}`,
    })),
  ];
}
