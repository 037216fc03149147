import type { HostRoot } from '../root.ts';
import { hostAddress, type NetworkDefinition } from './definition.ts';
import { netmask, parseSubnet } from './subnet.ts';

/** The files of networks that are up. */
export const RUNTIME_FOLDER = '/run/vring/networks';
const STATE_FOLDER = '/var/lib/vring/networks';

export function dnsmasqFiles(name: string) {
  return {
    config: `${RUNTIME_FOLDER}/${name}.dnsmasq`,
    pid: `${RUNTIME_FOLDER}/${name}.pid`,
    leases: `${STATE_FOLDER}/${name}.leases`,
  } as const;
}

/** Whether the network needs dnsmasq. */
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
    // None of the host's own configuration.
    'conf-dir=',
    'no-hosts',
    'bind-interfaces',
    'except-interface=lo',
    `interface=${bridge}`,
    `listen-address=${host}`,
    `pid-file=${files.pid}`,
    ...(dns ? ['domain-needed', 'bogus-priv'] : ['port=0']),
    // Guests of an isolated network cannot resolve names outside it.
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
      // No router in an isolated network, and no name server without DNS.
      ...(form === 'isolated' ? ['dhcp-option=3'] : []),
      ...(dns ? [] : ['dhcp-option=6']),
      ...reservations.map(
        ({ mac, address, name }) => `dhcp-host=${[mac, address, name].filter(Boolean).join(',')}`,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The PID of the network's dnsmasq; null if it is not running. */
export function dnsmasqProcess(root: HostRoot, name: string): number | null {
  const text = root.attribute(dnsmasqFiles(name).pid) ?? '';
  if (!/^\d+$/.test(text)) return null;
  return /\(dnsmasq\) [^Z]/.test(root.attribute(`/proc/${text}/stat`) ?? '') ? Number(text) : null;
}
