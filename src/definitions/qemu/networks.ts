import type { NicInput } from '../fields/nics.ts';
import { own } from '../own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

type Network = Exclude<NonNullable<NicInput['network']>, string>;

/** The network cards by the names of QEMU's devices. */
export const NIC_NAMES: Readonly<Record<string, NonNullable<NicInput['model']>>> = {
  'virtio-net': 'virtio',
  'virtio-net-pci': 'virtio',
  'virtio-net-pci-non-transitional': 'virtio',
  e1000: 'e1000',
  'e1000-82540em': 'e1000',
  e1000e: 'e1000e',
  igb: 'igb',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
};

const TYPES = ['user', 'tap', 'bridge'] as const;

/** The connection of a -netdev, -nic or -net, without what it is called. @throws OptionError */
export function parseNetwork(type: string, settings: Settings): Network {
  switch (type) {
    case 'user':
      return { type, forward: settings.takeAll('hostfwd').map(parseForward) };
    case 'tap': {
      // vring runs no scripts, as these ask for.
      settings.accept('script', 'no');
      settings.accept('downscript', 'no');
      const name = settings.take('ifname');
      return { type, ...(name !== undefined && { interface: name }) };
    }
    case 'bridge':
      return { type, bridge: settings.take('br') ?? 'br0' };
    default:
      throw new OptionError(`vring has no ${shown(type)} networks: there are ${TYPES.join(', ')}`);
  }
}

/** @throws OptionError */
export function nicModel(name: string): NonNullable<NicInput['model']> {
  // -net's short name.
  const model = name === 'virtio' ? name : own(NIC_NAMES, name);
  if (model !== undefined) return model;
  throw new OptionError(
    `vring has no network card ${shown(name)}: there are ${[...new Set(Object.values(NIC_NAMES))].join(', ')}`,
  );
}

export const NO_NETWORK_SETTING: Readonly<Record<string, string>> = {
  vhost: 'leave it out: how packets are moved is up to vring',
  queues: 'leave it out',
  netdev: 'use -device, which takes netdev=',
  macaddr: "the address is the card's: use mac= with -nic, or macaddr= with -net nic",
  net: 'leave it out: the addresses of the user network are fixed',
  fd: 'name the TAP interface with ifname=',
};

/** `tcp:127.0.0.1:2222-:22`. */
function parseForward(text: string) {
  const match = /^(tcp|udp)?:([^:]*|\[[^\]]*\]):(\d+)-[^:]*:(\d+)$/.exec(text);
  if (match === null) {
    throw new OptionError(
      `hostfwd=${text}: expected a port of the host and one of the guest, such as tcp::2222-:22`,
    );
  }
  const [, protocol = 'tcp', address, host, guest] = match;
  return {
    protocol: protocol as 'tcp' | 'udp',
    // QEMU listens on every address when none is given.
    address: address?.replace(/^\[|\]$/g, '') || '0.0.0.0',
    host: Number(host),
    guest: Number(guest),
  };
}
