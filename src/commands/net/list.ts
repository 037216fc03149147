import { networkNamed } from '../../host/networks/definition.ts';
import { listNetworks, type NetworkInfo, type NetworkList } from '../../host/networks/read.ts';
import type { HostRoot } from '../../host/root.ts';
import { sentenceList } from '../../host/text.ts';
import { bytes } from '../../text/units.ts';
import { tableLines } from '../host/table.ts';

/** @throws unless it is defined */
export async function showNetwork(root: HostRoot, name: string): Promise<NetworkInfo> {
  networkNamed(root, name);
  return (await listNetworks(root)).networks.find(network => network.name === name)!;
}

export function networkTable({ networks, problems }: NetworkList, cells: number): string[] {
  const table = tableLines<NetworkInfo>(
    networks,
    [
      { title: 'NAME', text: ({ name }) => name, least: 8 },
      { title: 'STATE', text: ({ state }) => state },
      { title: 'FORM', text: ({ form }) => form },
      { title: 'SUBNET', text: ({ subnet }) => subnet },
      { title: 'BRIDGE', text: ({ bridge }) => bridge, rank: 1 },
      { title: 'DHCP', text: dhcpText, rank: 3 },
      { title: 'PORTS', text: ({ ports }) => String(ports.length), align: 'right', rank: 2 },
      { title: 'LEASES', text: ({ leases }) => String(leases.length), align: 'right', rank: 2 },
      { title: 'AUTOSTART', text: ({ autostart }) => (autostart ? 'yes' : 'no'), rank: 4 },
    ],
    cells,
  );
  const none =
    networks.length === 0 ? ['there is no network: create one with vring net create default'] : table;
  return [...none, ...problems];
}

export function networkLines(network: NetworkInfo, cells: number): string[] {
  const { name, form, subnet, address, bridge, dns, domain, state, problems, autostart, ports, traffic } =
    network;
  const facts = [
    ['name', name],
    ['state', state],
    ['form', FORMS[form]],
    ['subnet', `${subnet}, the host is ${address}`],
    ['bridge', bridge],
    ['DHCP', dhcpText(network)],
    ['DNS', dns ? `yes${domain === undefined ? '' : `, domain ${domain}`}` : 'no'],
    ['autostart', autostart ? 'yes' : 'no'],
    ['ports', ports.length === 0 ? 'none' : sentenceList(ports)],
    ...(traffic === null
      ? []
      : [
          ['from guests', `${bytes(traffic.receivedBytes)} in ${traffic.receivedPackets} packets`],
          ['to guests', `${bytes(traffic.sentBytes)} in ${traffic.sentPackets} packets`],
        ]),
  ] as const;
  const reserved = network.reservations.map(each => [each.address, each.mac, each.name ?? ''] as const);
  return [
    ...facts.map(([label, text]) => `${`${label}:`.padEnd(13)}${text}`),
    ...problems.map(problem => `${'problem:'.padEnd(13)}${problem}`),
    ...(reserved.length === 0 ? [] : ['', 'Reserved', ...leaseTable(reserved, cells)]),
    ...(network.leases.length === 0
      ? []
      : [
          '',
          'Leases',
          ...leaseTable(
            network.leases.map(each => [each.address, each.mac, each.name ?? '']),
            cells,
          ),
        ]),
  ];
}

const FORMS = {
  nat: 'NAT',
  routed: 'routed',
  isolated: 'isolated: no outside access',
} as const;

function dhcpText({ dhcp }: NetworkInfo): string {
  return dhcp === false ? 'no' : `${dhcp.start} to ${dhcp.end}`;
}

function leaseTable(rows: readonly (readonly [string, string, string])[], cells: number): string[] {
  return tableLines(
    rows,
    [
      { title: 'ADDRESS', text: ([address]) => address },
      { title: 'MAC', text: ([, mac]) => mac },
      { title: 'NAME', text: ([, , name]) => name, rank: 1 },
    ],
    cells,
  ).map(line => `  ${line}`);
}
