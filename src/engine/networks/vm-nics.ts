import type { NetOptions } from '../../devices/backends/net.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import { deviceTable } from '../../devices/registry.ts';
import { freeMacAddress } from './mac-address.ts';

/** A network card that a VM has, or will have at its next start. */
export type VmNic = {
  /** Its name in the VM: `net0`. */
  readonly device: string;
  /** The type of its device: `virtio-net`. */
  readonly type: string;
  /** Lower case; null while unknown. */
  readonly mac: string | null;
  /** What it is connected to: the type of network, and the host interface, bridge or network it names, or null. */
  readonly network: { readonly type: string; readonly name: string | null };
  /** The guest's addresses, as its agent reports or the host learned by DHCP or ARP; default: none. */
  readonly addresses?: readonly string[];
};

/** The network cards among the devices of a machine. */
export function vmNics(devices: readonly DeviceConfig[], table = deviceTable): VmNic[] {
  const own = devices.filter(({ type }) => table.find(type) !== undefined);
  if (own.every(({ type }) => table.find(type)?.backend !== 'net')) return [];
  const names = table.names(own);
  return own.flatMap((config, index) => {
    const network = table.network(config);
    if (network === null) return [];
    const { options, mac } = network;
    return [
      {
        device: names[index]!,
        type: config.type,
        mac: mac?.toLowerCase() ?? null,
        network: { type: options.type, name: networkName(options) },
      },
    ];
  });
}

/**
 * Devices with MAC addresses on all network cards: a card without one gets an address derived from the VM, the same at
 * each start.
 */
export function withMacAddresses(
  vm: string,
  devices: readonly DeviceConfig[],
  table = deviceTable,
): DeviceConfig[] {
  const isCard = (device: DeviceConfig) => table.network(device) !== null;
  const taken = new Set(vmNics(devices, table).flatMap(({ mac }) => mac ?? []));
  let index = 0;
  return devices.map(device => {
    if (!isCard(device)) return device;
    const at = index++;
    if (typeof device.mac === 'string') return device;
    const mac = freeMacAddress(vm, at, taken);
    taken.add(mac);
    return { ...device, mac };
  });
}

/** The options that name a host resource, in order of preference for display. */
const NAMES = ['ifname', 'bridge', 'br', 'interface', 'name', 'hub'] as const;

/** The host resource that a network names; null if none. */
export function networkName(options: NetOptions): string | null {
  const given = options as Readonly<Record<string, unknown>>;
  const key = NAMES.find(each => given[each] !== undefined);
  return key === undefined ? null : String(given[key]);
}

/** `user`, `bridge br0` */
export function networkText({ type, name }: VmNic['network']): string {
  return name === null ? type : `${type} ${name}`;
}

/** The known addresses of a guest, those of its first card first. */
export function guestAddresses({ nics = [] }: { readonly nics?: readonly VmNic[] }): string[] {
  return [...new Set(nics.flatMap(({ addresses = [] }) => addresses))];
}

/** `52:54:00:12:34:56 in network default, 192.168.150.10` */
export function nicText({ mac, network, addresses = [] }: VmNic): string {
  const where = `${mac ?? 'no address yet'} in ${networkText(network)}`;
  return [where, ...addresses].join(', ');
}
