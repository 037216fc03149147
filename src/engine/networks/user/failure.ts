import { constants } from 'node:os';
import type { HostForward, UserOptions } from '../../../devices/backends/net-user.ts';
import { HostRoot } from '../../../host/root.ts';
import { holderText } from '../../../host/use/holders.ts';
import { readPortUsers } from '../../../host/use/port-users.ts';
import { NetworkError } from '../../../vmm/backends/net/network-error.ts';
import { errnoName } from '../../../vmm/native/libc.ts';

/** What vring-net-user reports when it cannot start (native/src/net_user/main.rs), as an error for the user. */
export async function userFailure(
  report: string,
  options: UserOptions,
  root = new HostRoot(),
): Promise<NetworkError> {
  const [what = '', ...rest] = report.trim().split(' ');
  const [first, second] = rest.map(Number) as [number?, number?];
  return new NetworkError(await sentence(what, rest.join(' '), first ?? 0, second ?? 0, options, root));
}

async function sentence(
  what: string,
  text: string,
  first: number,
  second: number,
  options: UserOptions,
  root: HostRoot,
): Promise<string> {
  switch (what) {
    case 'library':
      return `user-mode networks need libslirp, which cannot be loaded (${text}): apt-get install libslirp0, or dnf install libslirp`;
    case 'hostfwd':
      return await hostForwardFailure(options.hostfwd![first]!, second, root);
    case 'guestfwd': {
      const { address, port } = options.guestfwd![first]!;
      return `connections to ${address === undefined ? '' : `${address}, `}port ${port} cannot be forwarded: give an address of the network that is neither the host's nor the name server's, and each one once`;
    }
    case 'root':
      return rootFailure(first, options);
    case 'stack':
      return 'libslirp does not accept these options: give addresses that are in the network';
    default:
      return `the program of the user-mode network did not start${text === '' && what === '' ? '' : `: ${what} ${text}`}`;
  }
}

async function hostForwardFailure(forward: HostForward, errno: number, root: HostRoot): Promise<string> {
  const { EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOENT, ENAMETOOLONG } = constants.errno;
  const to = `to port ${forward.guest} of the guest`;
  if (forward.protocol === 'unix') {
    const because = {
      [EADDRINUSE]: 'there is a file of this name: remove it, if nothing uses it',
      [EACCES]: 'this user may not create files in its folder: choose another one',
      [ENOENT]: 'its folder does not exist: create it',
      [ENAMETOOLONG]: 'its path is longer than 107 bytes: choose a shorter one',
    }[errno];
    return `socket ${forward.path} cannot be forwarded ${to}: ${because ?? errnoName(errno)}`;
  }
  const { protocol, address, host } = forward;
  const port = `${protocol} port ${host} of ${address} cannot be forwarded ${to}:`;
  switch (errno) {
    case EADDRINUSE: {
      const users = await readPortUsers(root, { protocol, number: host });
      const who = users.map(holderText).join(', ') || 'another program';
      return `${port} it is in use by ${who}: stop that, or choose another port`;
    }
    case EACCES:
      return `${port} a port below ${unprivileged(root)} requires root: choose a higher one`;
    case EADDRNOTAVAIL:
      return `${port} the host does not have this address: ip address shows its addresses`;
    default:
      return `${port} ${errnoName(errno)}`;
  }
}

function unprivileged(root: HostRoot): string {
  return root.attribute('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? '1024';
}

function rootFailure(errno: number, { tftp }: UserOptions): string {
  const { ENOENT, EACCES, EPERM, ENOSYS, EINVAL } = constants.errno;
  if (tftp !== undefined && (errno === ENOENT || errno === EACCES)) {
    const why = errno === ENOENT ? 'it does not exist' : 'this user may not read it';
    return `folder ${tftp} cannot be served by TFTP: ${why}`;
  }
  const needs = tftp === undefined ? 'guestfwd' : 'tftp';
  if (errno === EPERM)
    return `${needs} requires root, or user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces): enable them, or leave it out`;
  if (errno === ENOSYS || errno === EINVAL) return `${needs} requires Linux 5.12 or newer: leave it out`;
  return `${needs} is not possible: ${errnoName(errno)}`;
}
