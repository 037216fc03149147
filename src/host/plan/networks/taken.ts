import { readNetworks } from '../../networks/definition.ts';
import { readInterfaces } from '../../networks/read.ts';
import { parseSubnet, type Subnet } from '../../networks/subnet.ts';
import type { HostRoot } from '../../root.ts';
import { isDefault, readRoutes } from '../../use/routes.ts';

export type TakenSubnet = {
  readonly subnet: Subnet;
  /** `a route through eth0` */
  readonly by: string;
  /** The interface that has it; null if it is only defined. */
  readonly interface: string | null;
  /** The vring network that it belongs to. */
  readonly network?: string;
};

/** The IPv4 networks of this host: in routes, addresses and definitions. */
export async function takenSubnets(root: HostRoot): Promise<TakenSubnet[]> {
  const { addresses } = await readInterfaces(root);
  return [
    ...readRoutes(root).flatMap(route =>
      isDefault(route) || route.destination.includes(':')
        ? []
        : [
            {
              subnet: parseSubnet(route.destination),
              by: `a route through ${route.interface}`,
              interface: route.interface,
            },
          ],
    ),
    ...[...addresses].flatMap(([name, texts]) =>
      name === 'lo'
        ? []
        : texts.map(text => ({ subnet: parseSubnet(text), by: `an address of ${name}`, interface: name })),
    ),
    ...readNetworks(root).definitions.map(({ name, subnet, bridge }) => ({
      subnet: parseSubnet(subnet),
      by: `the network ${name}`,
      interface: bridge,
      network: name,
    })),
    ...libvirtNetworks(root).flatMap(({ name, subnets }) =>
      subnets.map(subnet => ({ subnet, by: `libvirt's network ${name}`, interface: null })),
    ),
  ];
}

export type LibvirtNetwork = {
  readonly name: string;
  readonly bridge: string | null;
  readonly subnets: Subnet[];
};

const LIBVIRT = '/etc/libvirt/qemu/networks';

/** libvirt's networks, up or down, from its files. */
export function libvirtNetworks(root: HostRoot): LibvirtNetwork[] {
  let files: readonly string[];
  try {
    files = root.list(LIBVIRT) ?? [];
  } catch {
    // Only root may read them, and only root can create a network.
    return [];
  }
  return files.flatMap(file => {
    if (!file.endsWith('.xml')) return [];
    const text = root.text(`${LIBVIRT}/${file}`) ?? '';
    const attribute = (element: string, name: string) =>
      new RegExp(`${name}=['"]([^'"]*)['"]`).exec(element)?.[1] ?? null;
    const subnets = [...text.matchAll(/<ip\s[^>]*>/g)].flatMap(([element]) => {
      const [address, mask, prefix] = ['address', 'netmask', 'prefix'].map(name => attribute(element, name));
      if (address == null || !/^\d+(\.\d+){3}$/.test(address)) return [];
      const bits = prefix ?? (mask == null ? null : String(maskBits(mask)));
      return bits === null ? [] : [parseSubnet(`${address}/${bits}`)];
    });
    const bridge = /<bridge\s[^>]*>/.exec(text)?.[0];
    return [
      {
        name: file.slice(0, -'.xml'.length),
        bridge: bridge === undefined ? null : attribute(bridge, 'name'),
        subnets,
      },
    ];
  });
}

function maskBits(mask: string): number {
  return mask
    .split('.')
    .map(byte => Number(byte).toString(2).replaceAll('0', '').length)
    .reduce((sum, bits) => sum + bits, 0);
}
