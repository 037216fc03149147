import type { HostRoot } from '../root.ts';
import { natural, printable } from '../text.ts';
import { type InterfaceTraffic, listNetworks, type NetworkInfo, readInterfaces } from './read.ts';

/** A TAP interface, or a bridge that does not belong to a vring network. */
export type HostInterface = {
  readonly name: string;
  readonly kind: 'bridge' | 'tap';
  readonly up: boolean;
  /** The bridge that it is a port of, or null. */
  readonly master: string | null;
  /** Ports of a bridge. */
  readonly ports: readonly string[];
  /** IPv4, with prefix length. */
  readonly addresses: readonly string[];
  readonly traffic: InterfaceTraffic | null;
};

/** What VMs on this host are, or can be, connected to. */
export type HostNetworks = {
  readonly networks: readonly NetworkInfo[];
  readonly interfaces: readonly HostInterface[];
  /** What cannot be read, one sentence each. */
  readonly problems: readonly string[];
};

export async function readHostNetworks(root: HostRoot): Promise<HostNetworks> {
  const [{ networks, problems }, { links, addresses, traffic }] = await Promise.all([
    listNetworks(root),
    readInterfaces(root),
  ]);
  const own = new Set(networks.map(({ bridge }) => bridge));
  const isTap = (name: string) => root.exists(`/sys/class/net/${name}/tun_flags`);
  const interfaces = [...links].flatMap(([name, { up, bridge, master }]): HostInterface[] => {
    if (own.has(name) || !(bridge || isTap(name))) return [];
    const ports = [...links].flatMap(([port, link]) => (link.master === name ? [printable(port)] : []));
    return [
      {
        name: printable(name),
        kind: bridge ? 'bridge' : 'tap',
        up,
        master: master === null ? null : printable(master),
        ports,
        addresses: addresses.get(name) ?? [],
        traffic: traffic.get(name) ?? null,
      },
    ];
  });
  const byKind = (a: HostInterface, b: HostInterface) =>
    a.kind === b.kind ? natural(a.name, b.name) : a.kind === 'bridge' ? -1 : 1;
  return { networks, interfaces: interfaces.sort(byKind), problems };
}
