import { readNetworks } from '../../host/networks/definition.ts';
import { readLeases } from '../../host/networks/leases.ts';
import type { HostRoot } from '../../host/root.ts';

/** Guest addresses by MAC address, in lower case. */
export type GuestAddresses = ReadonlyMap<string, readonly string[]>;

/**
 * The addresses that this host knows for its neighbors: leases from the DHCP of vring's networks, and its own ARP
 * table.
 */
export function readGuestAddresses(root: HostRoot): GuestAddresses {
  const found = new Map<string, Set<string>>();
  const add = (mac: string, address: string) => {
    const known = found.get(mac) ?? new Set();
    found.set(mac, known.add(address));
  };
  for (const { mac, address } of leases(root)) add(mac, address);
  for (const { mac, address } of parseArp(root.text('/proc/net/arp', 4 << 20) ?? '')) add(mac, address);
  return new Map([...found].map(([mac, addresses]) => [mac, [...addresses]]));
}

function leases(root: HostRoot) {
  try {
    return readNetworks(root).definitions.flatMap(({ name }) => readLeases(root, name));
  } catch {
    // Only root can read them.
    return [];
  }
}

/** ATF_COM: the entry is complete (linux/if_arp.h). */
const COMPLETE = 2;

/** `IP address  HW type  Flags  HW address  Mask  Device` */
function parseArp(text: string): { mac: string; address: string }[] {
  return text.split('\n').flatMap(line => {
    const [address = '', , flags = '', mac = ''] = line.trim().split(/\s+/);
    if (!(Number.parseInt(flags, 16) & COMPLETE) || !/^\d+(\.\d+){3}$/.test(address)) return [];
    return [{ mac: mac.toLowerCase(), address }];
  });
}
