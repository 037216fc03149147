import type { HostRoot } from '../root.ts';
import { printable } from '../text.ts';
import { dnsmasqFiles } from './dnsmasq.ts';

/** A DHCP lease. */
export type Lease = {
  readonly mac: string;
  readonly address: string;
  /** The name that the guest sent; null if none. */
  readonly name: string | null;
  /** Seconds since 1970; null if it does not expire. */
  readonly expiresAt: number | null;
};

/** The leases that have not expired at `now` (seconds since 1970). */
export function readLeases(root: HostRoot, network: string, now = Date.now() / 1000): Lease[] {
  return parseLeases(root.text(dnsmasqFiles(network).leases, 8 << 20) ?? '').filter(
    ({ expiresAt }) => expiresAt === null || expiresAt > now,
  );
}

/** dnsmasq's file: `expiry MAC address name client-id`, `*` for unknown values; IPv6 leases follow `duid`. */
export function parseLeases(text: string): Lease[] {
  const leases: Lease[] = [];
  for (const line of text.split('\n')) {
    const [expiry = '', mac = '', address = '', name = '*'] = line.split(' ');
    if (expiry === 'duid') break;
    if (!/^\d+$/.test(expiry) || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) continue;
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(address)) continue;
    leases.push({
      mac: mac.toLowerCase(),
      address,
      name: name === '*' ? null : printable(name),
      expiresAt: expiry === '0' ? null : Number(expiry),
    });
  }
  return leases;
}
