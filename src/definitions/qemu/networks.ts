import type { NicInput } from '../fields/nics.ts';
import { knownDevices } from '../known-devices.ts';
import { shown } from '../words.ts';
import type { Connection } from './connection.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';
import { hostFile } from './host-file.ts';
import type { LeftOutSettings, Settings } from './settings.ts';
import { parseUserNetwork } from './user-network.ts';

/** The networks that -netdev, -nic and -net may name. */
export const NETWORK_TYPES = ['user', 'tap', 'bridge', 'passt', 'hubport'] as const;

const OWN_TRANSFER = 'vring chooses how packets are transferred';
const OWN_BRIDGING = 'vring attaches interfaces to bridges itself';

/** The connection of a -netdev, -nic or -net, without its ID. @throws OptionError */
export function parseNetwork(type: string, settings: Settings, host: QemuHost): Connection {
  settings.leaveOut(LEFT_OUT);
  switch (type) {
    case 'user':
      return { network: parseUserNetwork(settings, host) };
    case 'tap':
      return parseTap(settings, host);
    case 'bridge':
      settings.leaveOut({ helper: OWN_BRIDGING });
      return { network: { type, bridge: settings.take('br') ?? 'br0' } };
    case 'passt':
      return { network: parsePasst(settings) };
    case 'hubport':
      return { network: { type: 'hub', hub: takeNumber(settings, 'hubid') } };
    default:
      throw new OptionError(unknownType(type));
  }
}

/** How packets are transferred, which a guest does not see. */
const LEFT_OUT: LeftOutSettings = Object.fromEntries(
  ['vhostfd', 'vhostfds', 'sndbuf', 'vnet_hdr', 'poll-us'].map(key => [key, OWN_TRANSFER]),
);

const UNKNOWN: Readonly<Record<string, string>> = {
  stream: 'vring starts passt itself: use -netdev passt, or tap, or user',
  dgram: 'connect VMs by a bridge (-netdev bridge), or by a network of vring net create',
  socket: 'connect VMs by a bridge (-netdev bridge), or by a network of vring net create',
  'vhost-user': 'use -netdev tap, whose packets the kernel transfers (vhost=on)',
  'vhost-vdpa': 'pass the device through with -device vfio-pci, or use -netdev tap',
  'af-xdp': 'use -netdev tap',
  vde: 'use -netdev tap or bridge',
  l2tpv3: 'set the tunnel up on the host, and attach it to a bridge: -netdev bridge',
  netmap: 'use -netdev tap',
};

function unknownType(type: string): string {
  const instead = Object.hasOwn(UNKNOWN, type)
    ? UNKNOWN[type]
    : `expected one of ${NETWORK_TYPES.join(', ')}`;
  return `vring has no ${shown(type)} networks: ${instead}`;
}

function parseTap(settings: Settings, host: QemuHost): Connection {
  const name = settings.take('ifname');
  const bridge = settings.take('br');
  settings.leaveOut({ helper: OWN_BRIDGING });
  const queues = settings.takeCount('queues');
  const forced = settings.takeSwitch('vhostforce');
  const vhost = settings.takeSwitch('vhost') ?? forced;
  const script = takeScript(settings, 'script', host);
  const downscript = takeScript(settings, 'downscript', host);
  const card = { ...(queues !== undefined && { queues }), ...(vhost !== undefined && { vhost }) };
  const scripts = { ...(script !== null && { script }), ...(downscript !== null && { downscript }) };
  if (name === undefined && bridge !== undefined && script === null && downscript === null)
    return { ...card, network: { type: 'bridge', bridge } };
  return {
    ...card,
    network: {
      type: 'tap',
      ...(name !== undefined && { interface: name }),
      ...(bridge !== undefined && { bridge }),
      ...scripts,
    },
  };
}

/** Null to run none. */
function takeScript(settings: Settings, key: string, host: QemuHost): string | null {
  const script = settings.take(key);
  return script === undefined || script === 'no' || script === '' ? null : hostFile(script, host);
}

function parsePasst(settings: Settings): Connection['network'] {
  const name = settings.take('interface');
  const address = settings.take('address');
  settings.leaveOut({
    path: 'vring finds passt itself',
    quiet: 'vring has its own log',
    'vhost-user': OWN_TRANSFER,
    mtu: 'host_mtu= of the -device sets the MTU',
    param: 'vring sets what passt needs',
  });
  const forward = [
    ...takePorts(settings, 'tcp-ports').map(ports => ({ protocol: 'tcp' as const, ...ports })),
    ...takePorts(settings, 'udp-ports').map(ports => ({ protocol: 'udp' as const, ...ports })),
  ];
  return {
    type: 'passt',
    ...(name !== undefined && { interface: name }),
    ...(address !== undefined && { address }),
    ...(forward.length > 0 && { forward }),
  };
}

/** `2222:22`, `8080`, `127.0.0.1/2222:22`. @throws OptionError */
function takePorts(settings: Settings, key: string) {
  return settings.takeAll(key).map(text => {
    const match = /^(?:([0-9a-fA-F.:]+)\/)?(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
    if (match === null) throw new OptionError(`${key}=${text}: expected a port, or two: 2222:22`);
    const [, address = '0.0.0.0', host, guest = host] = match;
    return { address, host: Number(host), guest: Number(guest) };
  });
}

/** @throws OptionError */
function takeNumber(settings: Settings, key: string): number {
  const text = settings.require(key);
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new OptionError(`${key} takes a whole number, not ${shown(text)}`);
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
    `vring has no network card ${shown(name)}: expected one of ${[...new Set(nicNames().values())].sort().join(', ')}`,
  );
}

const BY_NAME = 'name the TAP interface with ifname=';

export const NO_NETWORK_SETTING: Readonly<Record<string, string>> = {
  netdev: 'use -device, which takes netdev=',
  macaddr: 'the address belongs to the card: use mac= with -nic, or macaddr= with -net nic',
  fd: BY_NAME,
  fds: BY_NAME,
  smb: 'shared folders are not supported yet: share files over the network',
};
