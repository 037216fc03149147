import type { NicNetworkInput } from '../fields/networks.ts';
import { given, orNothing } from '../given.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';
import { hostFile } from './host-file.ts';
import type { Settings } from './settings.ts';

type UserNetwork = Extract<NicNetworkInput, { type: 'user' }>;

/** -netdev user. @throws OptionError */
export function parseUserNetwork(settings: Settings, host: QemuHost): UserNetwork {
  const ip = settings.take('ip');
  // An older option than `net`.
  const net = settings.take('net') ?? (ip === undefined ? undefined : `${ip}/24`);
  const restrict = settings.takeSwitch('restrict');
  const tftp = settings.take('tftp');
  const search = settings.takeAll('dnssearch');
  settings.leaveOut({
    'tftp-server-name': "the guest gets the address of the network's TFTP server",
    smbserver: 'shared folders are not supported yet: share files over the network',
  });
  return given<UserNetwork>({
    type: 'user',
    net: net === undefined ? undefined : subnet(net),
    host: settings.take('host'),
    'dhcp-start': settings.take('dhcpstart'),
    dns: settings.take('dns'),
    hostname: settings.take('hostname'),
    domain: settings.take('domainname'),
    search: orNothing([...search]),
    restrict,
    tftp: tftp === undefined ? undefined : hostFile(tftp, host),
    bootfile: settings.take('bootfile'),
    forward: orNothing(settings.takeAll('hostfwd').map(parseForward)),
    'guest-forward': orNothing(settings.takeAll('guestfwd').map(parseGuestForward)),
    ...families(settings),
    ...ipv6(settings),
  });
}

/** Enabling only one turns the other off, as in QEMU. @throws OptionError */
function families(settings: Settings): Pick<UserNetwork, 'ipv4' | 'ipv6'> {
  const v4 = settings.takeSwitch('ipv4');
  const v6 = settings.takeSwitch('ipv6');
  const hasV4 = v4 ?? v6 !== true;
  const hasV6 = v6 ?? v4 !== true;
  return { ...(!hasV4 && { ipv4: false }), ...(!hasV6 && { ipv6: false }) };
}

function ipv6(settings: Settings) {
  const net = settings.take('ipv6-net');
  const prefix = settings.take('ipv6-prefix');
  const length = settings.takeCount('ipv6-prefixlen') ?? 64;
  const whole = net ?? (prefix === undefined ? undefined : `${prefix}/${length}`);
  return {
    'ipv6-net': whole === undefined || whole.includes('/') ? whole : `${whole}/${length}`,
    'ipv6-host': settings.take('ipv6-host'),
    'ipv6-dns': settings.take('ipv6-dns'),
  };
}

/** Networks without a mask, by their first bits, as QEMU reads them (net/slirp.c). */
const CLASSES: readonly { readonly mask: number; readonly value: number; readonly bits: number }[] = [
  { mask: 0x8000_0000, value: 0, bits: 8 },
  { mask: 0xfff0_0000, value: 0xac10_0000, bits: 12 },
  { mask: 0xc000_0000, value: 0x8000_0000, bits: 16 },
  { mask: 0xffff_0000, value: 0xc0a8_0000, bits: 16 },
  { mask: 0xffff_0000, value: 0xc612_0000, bits: 15 },
  { mask: 0xe000_0000, value: 0xe000_0000, bits: 24 },
  { mask: 0, value: 0, bits: 28 },
];

/** `10.0.2.0/24`, `10.0.2.0/255.255.255.0` or `10.0.2.0`. @throws OptionError */
function subnet(text: string): string {
  const [address = '', mask] = text.split('/');
  const number = numberOf(address);
  if (number === null) throw new OptionError(`net=${text}: expected a network, such as 10.0.2.0/24`);
  if (mask === undefined) {
    const { bits } = CLASSES.find(({ mask, value }) => (number & mask) >>> 0 === value)!;
    return `${address}/${bits}`;
  }
  const netmask = numberOf(mask);
  if (netmask === null) return text;
  // A mask is ones, then zeroes.
  const bits = Math.clz32(~netmask);
  if ((netmask << bits) >>> 0 !== 0 && bits < 32)
    throw new OptionError(`net=${text}: ${mask} is not a netmask: write the number of its bits, as in /24`);
  return `${address}/${bits}`;
}

/** The four bytes of an IPv4 address; null for anything else. */
function numberOf(text: string): number | null {
  const bytes = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (bytes === undefined || bytes.some(byte => byte > 255)) return null;
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}

/** `tcp:127.0.0.1:2222-10.0.2.15:22`. @throws OptionError */
export function parseForward(text: string) {
  const match = /^(tcp|udp)?:([^:]*|\[[^\]]*\]):(\d+)-([^:]*|\[[^\]]*\]):(\d+)$/.exec(text);
  if (match === null) {
    throw new OptionError(`hostfwd=${text}: expected a host port and a guest port, such as tcp::2222-:22`);
  }
  const [, protocol = 'tcp', address, host, guestAddress, guest] = match;
  return {
    protocol: protocol as 'tcp' | 'udp',
    // Without an address, QEMU listens on all of them.
    address: address?.replace(/^\[|\]$/g, '') || '0.0.0.0',
    host: Number(host),
    guest: Number(guest),
    ...(guestAddress && { 'guest-address': guestAddress }),
  };
}

/** `tcp:10.0.2.100:80-tcp:127.0.0.1:8080`, `tcp:10.0.2.100:80-cmd:nc -U /run/log.sock`. @throws OptionError */
function parseGuestForward(text: string) {
  const match = /^(?:tcp)?:([\d.]*):(\d+)-(.+)$/.exec(text);
  const [, address = '', port, target = ''] = match ?? [];
  if (match === null || address === '')
    throw new OptionError(
      `guestfwd=${text}: expected an address, a port and a target, such as tcp:10.0.2.100:80-tcp:127.0.0.1:8080`,
    );
  const from = { address, port: Number(port) };
  const command = /^cmd:(.+)$/.exec(target)?.[1];
  if (command !== undefined) return { ...from, command: command.trim().split(/\s+/) };
  const to = /^tcp:([^:]*|\[[^\]]*\]):(\d+)$/.exec(target);
  if (to === null)
    throw new OptionError(
      `guestfwd=${text}: ${shown(target)} is not supported: use tcp:ADDRESS:PORT, or cmd:PROGRAM`,
    );
  return { ...from, to: { address: to[1]!.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(to[2]) } };
}
