import type { NicInput } from '../fields/nics.ts';
import { knownDevices } from '../known-devices.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { LeftOutSettings, Settings } from './settings.ts';

type Network = Exclude<NonNullable<NicInput['network']>, string>;

const TYPES = ['user', 'tap', 'bridge'] as const;

const NO_SCRIPT = 'vring runs no scripts: configure the interface on the host';
const OWN_ADDRESSES = 'the user network has its own name server';

/** The connection of a -netdev, -nic or -net, without its ID. @throws OptionError */
export function parseNetwork(type: string, settings: Settings): Network {
  settings.leaveOut(LEFT_OUT);
  switch (type) {
    case 'user':
      return parseUserNetwork(settings);
    case 'tap': {
      settings.prefer('script', ['no', ''], NO_SCRIPT);
      settings.prefer('downscript', ['no', ''], NO_SCRIPT);
      const name = settings.take('ifname');
      const bridge = settings.take('br');
      settings.leaveOut({ helper: NO_SCRIPT });
      if (name === undefined && bridge !== undefined) return { type: 'bridge', bridge };
      return { type, ...(name !== undefined && { interface: name }) };
    }
    case 'bridge':
      settings.leaveOut({ helper: NO_SCRIPT });
      return { type, bridge: settings.take('br') ?? 'br0' };
    default:
      throw new OptionError(`vring has no ${shown(type)} networks: expected one of ${TYPES.join(', ')}`);
  }
}

/** How packets are transferred, which a guest does not see. */
const LEFT_OUT: LeftOutSettings = Object.fromEntries(
  [
    'vhost',
    'vhostforce',
    'vhostfd',
    'vhostfds',
    'queues',
    'sndbuf',
    'vnet_hdr',
    'poll-us',
    'vlan',
    'name',
  ].map(key => [key, 'vring chooses how packets are transferred']),
);

function parseUserNetwork(settings: Settings): Network {
  settings.accept('restrict', 'off', 'no', 'n');
  settings.accept('net', '10.0.2.0/24', '10.0.2.0/255.255.255.0');
  settings.prefer('host', ['10.0.2.2'], 'the host is always 10.0.2.2 in the user network');
  settings.prefer('dhcpstart', ['10.0.2.15'], 'a guest is always 10.0.2.15 in the user network');
  settings.prefer('dns', ['10.0.2.3'], 'the name server is always 10.0.2.3 in the user network');
  settings.leaveOut({
    hostname: OWN_ADDRESSES,
    dnssearch: OWN_ADDRESSES,
    domainname: OWN_ADDRESSES,
    'ipv6*': OWN_ADDRESSES,
    ipv4: OWN_ADDRESSES,
  });
  return { type: 'user', forward: settings.takeAll('hostfwd').map(parseForward) };
}

/** The models of network cards, by QEMU's device names. */
function nicNames(): Map<string, string | undefined> {
  const cards = knownDevices().filter(({ definition }) => definition.key === 'nics');
  return new Map(
    cards.flatMap(
      ({ definition, qemu }) => qemu?.devices.map(name => [name, definition.value] as const) ?? [],
    ),
  );
}

/** @throws OptionError */
export function nicModel(name: string): NonNullable<NicInput['model']> {
  // -net's short name.
  const model = name === 'virtio' ? name : nicNames().get(name);
  if (model !== undefined) return model as NonNullable<NicInput['model']>;
  throw new OptionError(
    `vring has no network card ${shown(name)}: expected one of ${[...new Set(nicNames().values())].join(', ')}`,
  );
}

export const NO_NETWORK_SETTING: Readonly<Record<string, string>> = {
  netdev: 'use -device, which takes netdev=',
  macaddr: 'the address belongs to the card: use mac= with -nic, or macaddr= with -net nic',
  net: 'leave it out: the addresses of the user network are fixed',
  fd: 'name the TAP interface with ifname=',
  fds: 'name the TAP interface with ifname=',
  restrict: 'the user network cannot isolate a guest: leave it out',
  smb: 'shared folders are not supported yet: share files over the network',
  tftp: 'network boot from a folder is not supported yet: leave it out',
  bootfile: 'network boot from a folder is not supported yet: leave it out',
  guestfwd: 'only hostfwd= forwards connections: leave it out',
};

/** `tcp:127.0.0.1:2222-:22`. */
function parseForward(text: string) {
  const match = /^(tcp|udp)?:([^:]*|\[[^\]]*\]):(\d+)-[^:]*:(\d+)$/.exec(text);
  if (match === null) {
    throw new OptionError(`hostfwd=${text}: expected a host port and a guest port, such as tcp::2222-:22`);
  }
  const [, protocol = 'tcp', address, host, guest] = match;
  return {
    protocol: protocol as 'tcp' | 'udp',
    // Without an address, QEMU listens on all of them.
    address: address?.replace(/^\[|\]$/g, '') || '0.0.0.0',
    host: Number(host),
    guest: Number(guest),
  };
}
