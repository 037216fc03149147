import type { HostRoot } from '../root.ts';
import { hostAddress, type NetworkDefinition } from './definition.ts';
import { netmask, parseSubnet } from './subnet.ts';

/** What vring has of a network while it is up. */
export const RUNTIME_FOLDER = '/run/vring/networks';
const STATE_FOLDER = '/var/lib/vring/networks';

export function dnsmasqFiles(name: string) {
  return {
    config: `${RUNTIME_FOLDER}/${name}.dnsmasq`,
    pid: `${RUNTIME_FOLDER}/${name}.pid`,
    leases: `${STATE_FOLDER}/${name}.leases`,
  } as const;
}

/** Does the network need the program? */
export function wantsDnsmasq({ dhcp, dns }: NetworkDefinition): boolean {
  return dhcp !== false || dns;
}

/** A configuration of dnsmasq (dnsmasq(8)) that serves this bridge and no other interface. */
export function dnsmasqConfig(network: NetworkDefinition): string {
  const { name, form, bridge, subnet, dhcp, dns, domain, reservations } = network;
  const files = dnsmasqFiles(name);
  const host = hostAddress(network);
  const lines = [
    `# Network ${name} of vring: written when it is started.`,
    // Nothing of the host's own configuration.
    'conf-dir=',
    'no-hosts',
    'bind-interfaces',
    'except-interface=lo',
    `interface=${bridge}`,
    `listen-address=${host}`,
    `pid-file=${files.pid}`,
    ...(dns ? ['domain-needed', 'bogus-priv'] : ['port=0']),
    // Guests of an isolated network have no names of the world.
    ...(form === 'isolated' && dns ? ['no-resolv'] : []),
    ...(domain === undefined
      ? []
      : [`domain=${domain}`, 'expand-hosts', ...(dns ? [`local=/${domain}/`] : [])]),
  ];
  if (dhcp !== false) {
    lines.push(
      `dhcp-range=${dhcp.start},${dhcp.end},${netmask(parseSubnet(subnet))},1h`,
      `dhcp-leasefile=${files.leases}`,
      'dhcp-authoritative',
      'dhcp-no-override',
      'dhcp-lease-max=65536',
      // No router, and no name server but its own.
      ...(form === 'isolated' ? ['dhcp-option=3'] : []),
      ...(dns ? [] : ['dhcp-option=6']),
      ...reservations.map(
        ({ mac, address, name }) => `dhcp-host=${[mac, address, name].filter(Boolean).join(',')}`,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The process that serves a network; null: none does. */
export function dnsmasqProcess(root: HostRoot, name: string): number | null {
  const text = root.attribute(dnsmasqFiles(name).pid) ?? '';
  if (!/^\d+$/.test(text)) return null;
  return /\(dnsmasq\) [^Z]/.test(root.attribute(`/proc/${text}/stat`) ?? '') ? Number(text) : null;
}
