import type { HostRoot } from '../root.ts';
import { hostAddress, type NetworkDefinition, readNetworks } from './definition.ts';
import { dnsmasqProcess, wantsDnsmasq } from './dnsmasq.ts';
import { type Lease, readLeases } from './leases.ts';
import { tableName } from './ruleset.ts';
import { parseSubnet } from './subnet.ts';

/** A network, and its current state on the host. */
export type NetworkInfo = NetworkDefinition & {
  /** `up` if all of it exists, `down` if none of it does, else `broken`. */
  readonly state: 'up' | 'down' | 'broken';
  /** The host's address in it. */
  readonly address: string;
  /** What a network that is up lacks, one sentence each. */
  readonly problems: readonly string[];
  /** The PID of the process that serves DHCP and DNS; null if none. */
  readonly dnsmasq: number | null;
  /** Interfaces that are ports of its bridge. */
  readonly ports: readonly string[];
  readonly leases: readonly Lease[];
  /** Bytes and packets sent by guests (`received` by the host) and to them, since the network came up. */
  readonly traffic: InterfaceTraffic | null;
};

export type InterfaceTraffic = {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
};

export type NetworkList = {
  readonly networks: readonly NetworkInfo[];
  /** Definitions that cannot be read, one sentence each. */
  readonly problems: readonly string[];
};

/** All defined networks. */
export async function listNetworks(root: HostRoot): Promise<NetworkList> {
  const { definitions, problems } = readNetworks(root);
  if (definitions.length === 0) return { networks: [], problems };
  const host = await readInterfaces(root);
  return { networks: definitions.map(each => networkInfo(root, each, host)), problems };
}

/** What ip(8) and nft(8) report. */
export type HostInterfaces = {
  readonly links: ReadonlyMap<string, Link>;
  /** With prefix length, by interface. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** `ip vring-default`; null if nft is not installed, or this user may not run it. */
  readonly tables: ReadonlySet<string> | null;
  readonly traffic: ReadonlyMap<string, InterfaceTraffic>;
};

export type Link = { readonly up: boolean; readonly bridge: boolean; readonly master: string | null };

/** Reads the interfaces of this process's network namespace; sysfs may show those of another one. */
export async function readInterfaces(root: HostRoot): Promise<HostInterfaces> {
  const [links, addresses, tables] = await Promise.all([
    root.query('ip', '-details', '-oneline', 'link', 'show'),
    root.query('ip', '-oneline', '-4', 'address', 'show'),
    root.query('nft', 'list', 'tables'),
  ]);
  return {
    links: parseIpLinks(links?.stdout ?? ''),
    addresses: parseIpAddresses(addresses?.stdout ?? ''),
    tables:
      tables?.exitCode === 0
        ? new Set([...tables.stdout.matchAll(/^table (\S+ \S+)$/gm)].map(([, name]) => name!))
        : null,
    traffic: parseTraffic(root.text('/proc/net/dev', 4 << 20) ?? ''),
  };
}

/** `2: vr-default: <BROADCAST,UP> mtu 1500 ... master br0 ... bridge forward_delay ...` */
function parseIpLinks(text: string): Map<string, Link> {
  const links = new Map<string, Link>();
  for (const line of text.split('\n')) {
    const [, name, flags, rest = ''] = /^\d+: ([^:@\s]+)(?:@\S+)?: <([^>]*)>(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    links.set(name, {
      up: flags!.split(',').includes('UP'),
      bridge: /\\ +bridge /.test(rest),
      master: / master (\S+)/.exec(rest)?.[1] ?? null,
    });
  }
  return links;
}

/** `2: vr-default    inet 192.168.150.1/24 brd ...` */
function parseIpAddresses(text: string): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const [, name, address] of text.matchAll(/^\d+: (\S+) +inet (\S+)/gm))
    addresses.set(name!, [...(addresses.get(name!) ?? []), address!]);
  return addresses;
}

/** `eth0: bytes packets errs drop fifo frame compressed multicast bytes packets ...` (net/core/net-procfs.c) */
function parseTraffic(text: string): Map<string, InterfaceTraffic> {
  const traffic = new Map<string, InterfaceTraffic>();
  for (const [, name, numbers] of text.matchAll(/^\s*([^:\s]+):(.*)$/gm)) {
    const [receivedBytes = 0, receivedPackets = 0, , , , , , , sentBytes = 0, sentPackets = 0] = numbers!
      .trim()
      .split(/\s+/)
      .map(Number);
    traffic.set(name!, { receivedBytes, receivedPackets, sentBytes, sentPackets });
  }
  return traffic;
}

function networkInfo(root: HostRoot, network: NetworkDefinition, host: HostInterfaces): NetworkInfo {
  const { name, bridge, subnet } = network;
  const link = host.links.get(bridge);
  const dnsmasq = dnsmasqProcess(root, name);
  const address = hostAddress(network);
  const hasTable = host.tables?.has(`ip ${tableName(name)}`) ?? null;
  const missing = [
    ...(link === undefined ? [`the bridge ${bridge} does not exist`] : []),
    ...(link !== undefined && !link.bridge ? [`${bridge} is not a bridge`] : []),
    ...(link !== undefined && !link.up ? [`the bridge ${bridge} is down`] : []),
    ...(host.addresses.get(bridge)?.includes(`${address}/${parseSubnet(subnet).bits}`)
      ? []
      : [`${bridge} does not have the address ${address}`]),
    ...(hasTable === false ? ['its rules are not in nftables'] : []),
    ...(wantsDnsmasq(network) && dnsmasq === null ? ['dnsmasq does not run, which serves DHCP and DNS'] : []),
  ];
  const isDown = link === undefined && hasTable !== true && dnsmasq === null;
  const state = isDown ? 'down' : missing.length === 0 ? 'up' : 'broken';
  return {
    ...network,
    state,
    address,
    problems: state === 'broken' ? missing : [],
    dnsmasq,
    ports: [...host.links].flatMap(([port, { master }]) => (master === bridge ? [port] : [])),
    leases: readLeases(root, name),
    traffic: host.traffic.get(bridge) ?? null,
  };
}
