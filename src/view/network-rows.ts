import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { HostInterface, HostNetworks } from '../host/networks/host-networks.ts';
import type { NetworkInfo } from '../host/networks/read.ts';
import { filterOf } from '../store/list-slice.ts';
import type { NetworkRates } from '../store/networks-slice.ts';
import { bytes } from '../text/units.ts';
import { type Fact, fact } from './facts.ts';
import type { ListColumn } from './list-columns.ts';
import { rowOfCursor, shownRows } from './list-rows.ts';
import { memoized } from './memoized.ts';

/** One of vring's networks, another bridge of the host, or a TAP interface. */
export type NetworkRow = {
  readonly key: string;
  readonly kind: 'network' | 'bridge' | 'tap';
  readonly name: string;
  readonly state: string;
  /** Undefined if it is not one of vring's networks. */
  readonly network?: NetworkInfo;
  readonly interface?: HostInterface;
  /** The host's addresses in it. */
  readonly addresses: readonly string[];
  /** VMs with a card in it; `(off)` after those that will have one. */
  readonly vms: readonly string[];
  readonly ports: readonly string[];
  /** Bytes per second from and to guests; null before the second read. */
  readonly fromGuests: number | null;
  readonly toGuests: number | null;
};

type NetworkColumn = ListColumn<NetworkRow>;

const perSecond = (
  key: 'fromGuests' | 'toGuests',
): Pick<NetworkColumn, 'align' | 'cell' | 'value' | 'unit'> => ({
  align: 'right',
  unit: 'bytes',
  cell: row => (row[key] === null ? '-' : bytes(row[key])),
  value: row => row[key],
});

const STATE_TOKENS = { up: 'status.ok', broken: 'status.error' } as const;

export const NETWORK_COLUMNS: readonly NetworkColumn[] = [
  {
    key: 'name',
    names: ['network'],
    title: 'NETWORK',
    min: 12,
    ideal: 20,
    cut: 'middle',
    letter: 'n',
    cell: ({ name }) => name,
    value: ({ name }) => name,
  },
  {
    key: 'kind',
    names: ['type', 'form'],
    title: 'KIND',
    min: 8,
    letter: 'k',
    cell: ({ kind, network }) => network?.form ?? kind,
    value: ({ kind, network }) => network?.form ?? kind,
  },
  {
    key: 'state',
    title: 'STATE',
    min: 6,
    letter: 's',
    cell: ({ state }) =>
      state in STATE_TOKENS
        ? { text: state, token: STATE_TOKENS[state as keyof typeof STATE_TOKENS] }
        : state,
    value: ({ state }) => state,
  },
  {
    key: 'address',
    names: ['subnet'],
    title: 'ADDRESS',
    min: 18,
    letter: 'd',
    priority: 1,
    cell: ({ addresses }) => addresses.join(' ') || '-',
    value: ({ addresses }) => addresses[0] ?? null,
  },
  {
    key: 'leases',
    title: 'LEASES',
    min: 6,
    align: 'right',
    letter: 'l',
    priority: 3,
    unit: 'count',
    cell: ({ network }) => (network === undefined ? '-' : String(network.leases.length)),
    value: ({ network }) => network?.leases.length ?? null,
  },
  {
    key: 'in',
    names: ['from'],
    title: 'FROM VMS/s',
    min: 10,
    letter: 'i',
    priority: 2,
    ...perSecond('fromGuests'),
  },
  {
    key: 'out',
    names: ['to'],
    title: 'TO VMS/s',
    min: 8,
    letter: 't',
    priority: 2,
    ...perSecond('toGuests'),
  },
  {
    key: 'vms',
    names: ['vm'],
    title: 'VMS',
    min: 10,
    grow: 1,
    letter: 'v',
    cell: ({ vms }) => vms.join(', ') || '-',
    value: ({ vms }) => vms.length,
  },
];

/** All rows, unfiltered. @param rates by interface */
export function networkRows(
  { networks, interfaces }: HostNetworks,
  rates: ReadonlyMap<string, NetworkRates>,
  vms: readonly VmInfo[],
): NetworkRow[] {
  // A bridge or a TAP interface receives what guests send.
  const ratesOf = (name: string) => ({
    fromGuests: rates.get(name)?.receivedBytes ?? null,
    toGuests: rates.get(name)?.sentBytes ?? null,
  });
  return [
    ...networks.map(
      (network): NetworkRow => ({
        key: `network ${network.name}`,
        kind: 'network',
        name: network.name,
        state: network.state,
        network,
        addresses: [network.subnet],
        vms: attachedTo(vms, { type: 'network', name: network.name }),
        ports: network.ports,
        ...ratesOf(network.bridge),
      }),
    ),
    ...interfaces.map((each): NetworkRow => {
      const { name, kind, up, addresses, ports } = each;
      return {
        key: `${kind} ${name}`,
        kind,
        name,
        state: up ? 'up' : 'down',
        interface: each,
        addresses,
        vms: kind === 'tap' ? usersOf(vms, name) : attachedTo(vms, { type: 'bridge', name }),
        ports,
        ...ratesOf(name),
      };
    }),
  ];
}

function attachedTo(vms: readonly VmInfo[], { type, name }: { type: string; name: string }): string[] {
  return vms.flatMap(vm =>
    (vm.nics ?? []).some(({ network }) => network.type === type && network.name === name)
      ? [isAlive(vm) ? vm.name : `${vm.name} (off)`]
      : [],
  );
}

/** Running VMs with a card on this host interface. */
function usersOf(vms: readonly VmInfo[], name: string): string[] {
  return vms.flatMap(vm => {
    if (!isAlive(vm)) return [];
    const uses = vm.topology?.devices.some(
      ({ backend, facts }) =>
        backend === 'net' && facts.some(({ label, value }) => label === 'interface' && value === name),
    );
    return uses ? [vm.name] : [];
  });
}

/** All facts about a row, including a network's leases. */
export function networkFacts(row: NetworkRow, vms: readonly VmInfo[]): Fact[] {
  const { network, ports } = row;
  const attached = fact('VMs', row.vms.join(', ') || 'none');
  if (network === undefined) {
    const { master = null } = row.interface ?? {};
    return [
      fact('Kind', row.kind === 'tap' ? 'TAP interface' : 'bridge of the host'),
      ...(row.kind === 'tap'
        ? [fact('Bridge', master ?? 'none')]
        : [fact('Ports', ports.join(', ') || 'none')]),
      fact('Addresses', row.addresses.join(', ') || 'none'),
      attached,
    ];
  }
  const { form, subnet, address, bridge, dhcp, dns, domain, autostart, leases, problems } = network;
  const owners = new Map(vms.flatMap(({ name, nics = [] }) => nics.map(({ mac }) => [mac, name] as const)));
  return [
    ...problems.map(problem => fact('Problem', problem, 'status.error')),
    fact('Form', FORMS[form]),
    fact('Subnet', `${subnet}; the host is ${address}`),
    attached,
    ...leases.map((lease, index) =>
      fact(
        index === 0 ? 'Leases' : '',
        [lease.address, lease.mac, owners.get(lease.mac) ?? lease.name ?? ''].join(' ').trimEnd(),
      ),
    ),
    fact('Bridge', `${bridge}${ports.length === 0 ? '' : `: ${ports.join(', ')}`}`),
    fact('DHCP', dhcp === false ? 'no' : `${dhcp.start} to ${dhcp.end}`),
    fact('DNS', dns ? `yes${domain === undefined ? '' : `, domain ${domain}`}` : 'no'),
    fact('Autostart', autostart ? 'yes' : 'no'),
  ];
}

const FORMS = {
  nat: "NAT: guests use the host's address outside",
  routed: 'routed: guests use their own addresses outside',
  isolated: 'isolated: guests reach the host and each other',
} as const;

/** Creates the selectors of one store; each caches its last result. */
export function createNetworkSelectors() {
  const allNetworks = memoized(
    state => [state.networks, state.networkRates, state.infos] as const,
    (networks, rates, infos): readonly NetworkRow[] =>
      networks === null ? [] : networkRows(networks, rates, Object.values(infos)),
  );

  const visibleNetworks = memoized(
    state => [allNetworks(state), filterOf(state, 'networks'), state.sorts.networks] as const,
    (rows, filter, sort) => shownRows(rows, NETWORK_COLUMNS, filter, sort),
  );
  const networkRow = memoized(
    state => [visibleNetworks(state), state.networkCursor] as const,
    (rows, cursor) => rowOfCursor(rows, cursor),
  );
  return { allNetworks, visibleNetworks, networkRow };
}
