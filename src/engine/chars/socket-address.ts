import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

const AF_INET = 2;
const AF_INET6 = 10;

/** A struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)), and the domain of its sockets. */
export type SocketAddress = { readonly domain: number; readonly bytes: Uint8Array };

/**
 * The address of a port.
 * @param host an IPv4 address, or an IPv6 one, a link-local one with its interface: `fe80::1%eth0`
 * @returns a sentence for the user when it is none
 */
export function socketAddress(host: string, port: number): SocketAddress | string {
  if (isIPv4(host)) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    bytes.set(host.split('.').map(Number), 4);
    return { domain: AF_INET, bytes };
  }
  if (!isIPv6(host)) return `${host} is not an address: give one, such as 127.0.0.1`;
  const [address = '', zone] = host.split('%');
  const scope = zone === undefined ? 0 : scopeOf(zone);
  if (scope === null) return `${host}: the host has no interface ${zone}: ip link shows its interfaces`;
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  for (const [index, word] of wordsOf(address).entries()) view.setUint16(8 + 2 * index, word);
  view.setUint32(24, scope, true);
  return { domain: AF_INET6, bytes };
}

/** The eight 16-bit words of a valid IPv6 address. */
function wordsOf(address: string): number[] {
  const [head, tail] = address.split('::').map(half => (half === '' ? [] : half.split(':').flatMap(part)));
  const missing = tail === undefined ? 0 : 8 - head!.length - tail.length;
  return [...head!, ...Array<number>(missing).fill(0), ...(tail ?? [])];
}

/** The last 32 bits may be written as an IPv4 address. */
function part(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return [256 * a + b, 256 * c + d];
}

/** The index of an interface, given by its name or index. */
function scopeOf(zone: string): number | null {
  if (/^\d{1,9}$/.test(zone)) return Number(zone);
  const addresses = Object.hasOwn(networkInterfaces(), zone) ? networkInterfaces()[zone]! : [];
  return addresses.map(each => (each.family === 'IPv6' ? each.scopeid : 0)).find(scope => scope > 0) ?? null;
}
