import { HostRoot } from '../../host/root.ts';
import { holderText } from '../../host/use/holders.ts';
import { type Port, readPortUsers } from '../../host/use/port-users.ts';
import { codeText } from '../../text/errno.ts';

/** A port of this host at an address. */
export type HostPort = Port & { readonly address: string };

const LINK_LOCAL = /^fe[89ab][0-9a-f]:/i;

/** Why a port cannot be opened, and what to do about it. @param code of the error: `EADDRINUSE` */
export async function portFailure(
  { protocol, number, address }: HostPort,
  code: string | undefined,
  root = new HostRoot(),
): Promise<string> {
  switch (code) {
    case 'EADDRINUSE': {
      const users = await readPortUsers(root, { protocol, number });
      const who = users.map(holderText).join(', ') || 'another program';
      return `it is in use by ${who}: stop that, or choose another port`;
    }
    case 'EACCES':
      return `a port below ${unprivileged(root)} requires root: choose a higher one`;
    case 'EADDRNOTAVAIL':
      return 'the host does not have this address: ip address shows its addresses';
    case 'EAFNOSUPPORT':
      return 'IPv6 is disabled on this host: choose an IPv4 address';
    case 'EINVAL':
      if (LINK_LOCAL.test(address)) return 'it is a link-local address: choose another address of the host';
      return codeText(code);
    default:
      return codeText(code);
  }
}

function unprivileged(root: HostRoot): string {
  return root.attribute('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? '1024';
}
