import type { NetworkDefinition } from '../../networks/definition.ts';
import { wantsDnsmasq } from '../../networks/dnsmasq.ts';
import { readInterfaces } from '../../networks/read.ts';
import { overlaps, parseSubnet, subnetText } from '../../networks/subnet.ts';
import type { HostRoot } from '../../root.ts';
import { holderText } from '../../use/holders.ts';
import { readPortUsers } from '../../use/port-users.ts';
import { block, impossible, ok, warn } from '../checks/check.ts';
import type { Check } from '../plan.ts';
import { libvirtNetworks, takenSubnets } from './taken.ts';

/** What a network needs, and what it would conflict with. */
export async function networkChecks(root: HostRoot, network: NetworkDefinition): Promise<Check[]> {
  return [
    ...(await programChecks(root, network)),
    ...(await bridgeChecks(root, network)),
    ...(await subnetChecks(root, network)),
    ...(network.form === 'isolated' ? [] : await forwardChecks(root, network)),
    ...(await serverChecks(root, network)),
  ];
}

const PROGRAMS = [
  { argv: ['ip', '-Version'], name: 'ip', packages: 'apt-get install iproute2, or dnf install iproute' },
  { argv: ['nft', '--version'], name: 'nft', packages: 'apt-get install nftables, or dnf install nftables' },
  {
    argv: ['dnsmasq', '--version'],
    name: 'dnsmasq',
    packages: 'apt-get install dnsmasq-base, or dnf install dnsmasq',
  },
] as const;

async function programChecks(root: HostRoot, network: NetworkDefinition): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { argv, name, packages } of PROGRAMS) {
    if (name === 'dnsmasq' && !wantsDnsmasq(network)) continue;
    if ((await root.query(...(argv as unknown as [string, ...string[]]))) === null)
      checks.push(impossible('network', name, `it is not installed: ${packages}`));
  }
  return checks;
}

async function bridgeChecks(root: HostRoot, { name, bridge }: NetworkDefinition): Promise<Check[]> {
  const link = (await readInterfaces(root)).links.get(bridge);
  const libvirt = libvirtNetworks(root).find(each => each.bridge === bridge);
  if (link !== undefined && !link.bridge)
    return [
      impossible(
        'network',
        bridge,
        'an interface has this name, and is not a bridge: choose another one (--bridge)',
      ),
    ];
  if (libvirt !== undefined)
    return [
      block(
        'network',
        bridge,
        `it is the bridge of libvirt's network ${libvirt.name}: choose another one (--bridge)`,
      ),
    ];
  if (link !== undefined && !root.exists(`/run/vring/networks/${name}.nft`))
    return [
      block(
        'network',
        bridge,
        'there is a bridge of this name that vring did not create: choose another one (--bridge)',
      ),
    ];
  return [];
}

async function subnetChecks(root: HostRoot, { name, bridge, subnet }: NetworkDefinition): Promise<Check[]> {
  const own = parseSubnet(subnet);
  const taken = (await takenSubnets(root)).filter(
    each => each.interface !== bridge && each.network !== name && overlaps(each.subnet, own),
  );
  const [first] = taken;
  if (first === undefined)
    return [ok('network', subnet, 'no route or other network of this host overlaps it')];
  const overlap = `it overlaps ${subnetText(first.subnet)}, ${first.by}`;
  // A network that is only defined takes no packets.
  if (first.interface === null) return [warn('network', subnet, `${overlap}: only one of them can be up`)];
  return [block('network', subnet, `${overlap}: choose another one (--subnet), or leave it out`)];
}

/** Every table of the firewall sees each packet: what one of them drops stays dropped. */
async function forwardChecks(root: HostRoot, { bridge }: NetworkDefinition): Promise<Check[]> {
  const checks: Check[] = [];
  const ruleset = (await root.query('nft', 'list', 'ruleset'))?.stdout ?? '';
  const tables = new Set([...ruleset.matchAll(/^table (\S+ \S+) \{$/gm)].map(([, name]) => name));
  if (tables.has('inet firewalld')) {
    checks.push(
      warn(
        'network',
        bridge,
        `firewalld filters its packets: put it into a zone that accepts them (firewall-cmd --permanent --zone=trusted --add-interface=${bridge}, then firewall-cmd --reload)`,
      ),
    );
  }
  if (/chain FORWARD \{\s+type filter hook forward [^;]*; policy drop;/.test(ruleset)) {
    const hasDocker = /chain DOCKER-USER \{/.test(ruleset);
    const who = hasDocker ? "Docker's rules drop" : 'the policy of the chain FORWARD drops';
    const chain = hasDocker ? 'DOCKER-USER' : 'FORWARD';
    checks.push(
      warn(
        'network',
        bridge,
        `${who} what the host forwards: allow the bridge (iptables -I ${chain} -i ${bridge} -j ACCEPT; iptables -I ${chain} -o ${bridge} -j ACCEPT)`,
      ),
    );
  }
  return checks;
}

/** A server on port 53 of all addresses keeps dnsmasq from opening it on the bridge. */
async function serverChecks(root: HostRoot, { bridge, dns }: NetworkDefinition): Promise<Check[]> {
  if (!dns) return [];
  const all = (root.text('/proc/net/udp', 16 << 20) ?? '')
    .split('\n')
    .some(line => / 00000000:0035 /.test(line));
  if (!all) return [];
  const users = (await readPortUsers(root, { protocol: 'udp', number: 53 })).map(holderText).join(', ');
  return [
    block(
      'network',
      bridge,
      `port 53 of all addresses is in use by ${users || 'another program'}: have it listen on some of them, or create the network with --no-dns`,
    ),
  ];
}
