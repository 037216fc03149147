import type { GuestForward, HostForward, UserOptions } from '../../../devices/backends/net-user.ts';
import { shellText } from '../../../text/shell.ts';

/** The vring-net-user arguments for these options (native/src/net_user/options.rs). */
export function programWords(options: UserOptions): string[] {
  const { hostfwd = [], guestfwd = [], dnssearch = [], restrict, ipv4, ipv6 } = options;
  const flags = { restrict, ipv4, ipv6 };
  return [
    ...Object.entries(flags).map(([key, on]) => `${key}=${on ? 1 : 0}`),
    ...SAME.flatMap(key => (options[key] === undefined ? [] : [`${key}=${options[key]}`])),
    ...dnssearch.map(domain => `dnssearch=${domain}`),
    ...hostfwd.map(forward => `hostfwd=${hostForwardWord(forward)}`),
    ...guestfwd.map(forward => `guestfwd=${guestForwardWord(forward)}`),
  ];
}

/** Options with the same name and form there. */
const SAME = [
  'net',
  'host',
  'dhcpstart',
  'dns',
  'ipv6-net',
  'ipv6-host',
  'ipv6-dns',
  'hostname',
  'domainname',
  'tftp',
  'tftp-server-name',
  'bootfile',
] as const satisfies readonly (keyof UserOptions)[];

function hostForwardWord(forward: HostForward): string {
  const { guest, 'guest-address': address } = forward;
  if (forward.protocol === 'unix') return `unix,${address ?? '0.0.0.0'},${guest},${forward.path}`;
  const isV6 = forward.address.includes(':');
  return `${forward.protocol},${forward.address},${forward.host},${address ?? (isV6 ? '::' : '0.0.0.0')},${guest}`;
}

function guestForwardWord({ address = '0.0.0.0', port, to }: GuestForward): string {
  const from = `${address},${port}`;
  if ('command' in to) return `${from},command,exec ${shellText(to.command)}`;
  return 'path' in to ? `${from},unix,${to.path}` : `${from},tcp,${to.address},${to.port}`;
}
