import { parseAddress } from '../pci/address.ts';
import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';
import { isDefault, type Route, readRoutes, routeTo } from './routes.ts';
import { readSshSessions } from './ssh.ts';

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
};

/** Something that depends on an interface, and the interfaces between them. */
export type NetworkRole = {
  readonly kind: 'ssh' | 'default-route' | 'upper' | 'address' | 'route';
  /** From the interface itself up to the one that has the role: `eth0`, `bond0`, `br0`. */
  readonly through: readonly string[];
  readonly text: string;
};

/** All interfaces of the network namespace, by name. */
export function readNetwork(root: HostRoot): NetworkInterface[] {
  const routes = readRoutes(root);
  const routesOf = Map.groupBy(routes, route => route.interface);
  const addresses = root.addresses();
  const sessions = readSshSessions(root).map(session => ({
    ...session,
    replies: routeTo(routes, session.client)?.interface,
  }));
  const names = (root.list(directory) ?? []).filter(name => root.link(`${directory}/${name}`) !== null);
  return names.sort(natural).map(name => {
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
    };
  });
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
    if (each.sshClients.length > 0) add('ssh', `carries the SSH session from ${each.sshClients.join(', ')}`);
    for (const route of each.routes.filter(isDefault)) {
      add('default-route', `carries the default route${route.gateway ? ` to ${route.gateway}` : ''}`);
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
  const order: readonly NetworkRole['kind'][] = ['ssh', 'default-route', 'upper', 'address', 'route'];
  return roles.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}
