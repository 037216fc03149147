import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';

const INTERFACES = '/sys/class/net';
const NETWORKS = '/etc/vring/networks';
const PASST = ['/usr/bin/passt', '/usr/local/bin/passt'];

/** What a network card can be connected to on the host. */
export type NetworkChoices = {
  readonly bridges: readonly string[];
  /** Interfaces of devices, on which macvtap interfaces can be created. */
  readonly interfaces: readonly string[];
  /** vring's networks (`vring net`). */
  readonly networks: readonly string[];
  readonly passt: boolean;
};

export function readNetworkChoices(root: HostRoot): NetworkChoices {
  const names = (root.list(INTERFACES) ?? []).filter(name => name === printable(name)).sort(natural);
  const has = (name: string, entry: string) => root.exists(`${INTERFACES}/${name}/${entry}`);
  return {
    bridges: names.filter(name => has(name, 'bridge')),
    interfaces: names.filter(name => has(name, 'device') && !has(name, 'bridge')),
    networks: (root.list(NETWORKS) ?? [])
      .flatMap(file => /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})\.yaml$/.exec(file)?.[1] ?? [])
      .sort(natural),
    passt: PASST.some(path => root.exists(path)),
  };
}

/** As in the options of commands: `user`, `bridge:br0`. */
export function networkWords({ bridges, interfaces, networks, passt }: NetworkChoices): string[] {
  return [
    'user',
    ...networks.map(name => `network:${name}`),
    ...bridges.map(name => `bridge:${name}`),
    ...interfaces.map(name => `macvtap:${name}`),
    'tap',
    ...(passt ? ['passt'] : []),
    'none',
  ];
}

/** Why a card cannot be connected to such a network on this host; null if it can. */
export function networkObstacle(
  { bridges, networks }: NetworkChoices,
  network: { readonly type: string; readonly bridge?: unknown; readonly name?: unknown },
): string | null {
  const among = (what: string, name: string, all: readonly string[], none: string) =>
    all.includes(name)
      ? null
      : `there is no ${what} ${name}: ${all.length === 0 ? none : `there is ${all.join(', ')}`}`;
  if (network.type === 'bridge')
    return among('bridge', String(network.bridge), bridges, 'this host has no bridges');
  if (network.type === 'network')
    return among('network', String(network.name), networks, 'vring net create makes one');
  return null;
}
