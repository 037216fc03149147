import type { HostRoot } from '../root.ts';

export type Route = {
  /** `0.0.0.0/0` and `::/0` are the default routes. */
  readonly destination: string;
  readonly gateway: string | null;
  readonly interface: string;
  readonly metric: number;
};

// include/uapi/linux/route.h and ipv6_route.h
const up = 0x1;
const reject = 0x200;
const local6 = 0x80000000;

/** Routes of the main tables, default routes first. */
export function readRoutes(root: HostRoot): Route[] {
  const routes = [
    ...routes4(root.text('/proc/net/route', 16 << 20) ?? ''),
    ...routes6(root.text('/proc/net/ipv6_route', 16 << 20) ?? ''),
  ];
  return routes.sort((a, b) => prefixLength(a) - prefixLength(b) || a.metric - b.metric);
}

export function isDefault(route: Route): boolean {
  return prefixLength(route) === 0;
}

/** The outgoing interface for packets to `address`: the longest prefix wins, then the lowest metric. */
export function routeTo(routes: readonly Route[], address: string): Route | null {
  const bits = addressBits(address);
  if (bits === null) return null;
  let best: Route | null = null;
  for (const route of routes) {
    const length = prefixLength(route);
    const network = addressBits(route.destination.slice(0, route.destination.lastIndexOf('/')));
    if (network?.length !== bits.length || network.slice(0, length) !== bits.slice(0, length)) continue;
    const longer = best === null || length > prefixLength(best);
    const cheaper = best !== null && length === prefixLength(best) && route.metric < best.metric;
    if (longer || cheaper) best = route;
  }
  return best;
}

function prefixLength(route: Route): number {
  return Number(route.destination.slice(route.destination.lastIndexOf('/') + 1));
}

/** `Iface Destination Gateway Flags RefCnt Use Metric Mask`: addresses as 32-bit words of the CPU's byte order. */
function routes4(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap(line => {
      const [name, destination, gateway, flags, , , metric, mask] = line.split(/\s+/);
      if (!name || !destination || !gateway || !mask) return [];
      const bits = Number.parseInt(flags ?? '0', 16);
      if (!(bits & up) || bits & reject) return [];
      const length = ones(Number.parseInt(mask, 16));
      return [
        {
          destination: `${address4(destination)}/${length}`,
          gateway: gateway === '00000000' ? null : address4(gateway),
          interface: name,
          metric: Number(metric),
        },
      ];
    });
}

/** `destination length source length next-hop metric references use flags interface`, all hexadecimal. */
function routes6(text: string): Route[] {
  return text.split('\n').flatMap(line => {
    const [destination, length, , , gateway, metric, , , flags, name] = line.trim().split(/\s+/);
    if (!name || !destination || !gateway) return [];
    const bits = Number.parseInt(flags ?? '0', 16);
    const multicast = destination.startsWith('ff');
    if (!(bits & up) || bits & reject || bits & local6 || multicast || name === 'lo') return [];
    return [
      {
        destination: `${address6(destination)}/${Number.parseInt(length!, 16)}`,
        gateway: /^0+$/.test(gateway) ? null : address6(gateway),
        interface: name,
        metric: Number.parseInt(metric!, 16),
      },
    ];
  });
}

/** 8 hex digits of a little-endian word, as /proc/net/route and /proc/net/tcp write an address. */
export function address4(hex: string): string {
  const bytes = hex.match(/../g) ?? [];
  return bytes
    .reverse()
    .map(byte => Number.parseInt(byte, 16))
    .join('.');
}

/** 32 hex digits in network order as RFC 5952 writes them. */
export function address6(hex: string): string {
  const groups = (hex.match(/.{4}/g) ?? []).map(group => Number.parseInt(group, 16).toString(16));
  return canonical6(groups.join(':'));
}

function canonical6(address: string): string {
  try {
    return new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}

function ones(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest >>>= 1) count += rest & 1;
  return count;
}

/** The address as a string of 32 or 128 binary digits; null if it is not an address. A zone (`%eth0`) is ignored. */
function addressBits(address: string): string | null {
  const plain = address.split('%')[0]!.replace(/^::ffff:(?=\d+\.)/, '');
  if (/^\d+\.\d+\.\d+\.\d+$/.test(plain)) {
    return plain
      .split('.')
      .map(byte => Number(byte).toString(2).padStart(8, '0'))
      .join('');
  }
  if (!plain.includes(':')) return null;
  const [head, tail] = canonical6(plain).split('::') as [string, string | undefined];
  const front = head.split(':').filter(Boolean);
  const back = (tail ?? '').split(':').filter(Boolean);
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  return [...front, ...zeros, ...back]
    .map(group => Number.parseInt(group, 16).toString(2).padStart(16, '0'))
    .join('');
}
