import { statSync } from 'node:fs';
import { constants } from 'node:os';
import type { HostForward, UserOptions } from '../../../devices/backends/net-user.ts';
import { HostRoot } from '../../../host/root.ts';
import { codeText } from '../../../text/errno.ts';
import { NetworkError } from '../../../vmm/backends/net/network-error.ts';
import { errnoName } from '../../../vmm/native/libc.ts';
import { portFailure } from '../port-failure.ts';

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
  const { EADDRINUSE, EACCES, ENOENT, ENOTDIR, ENAMETOOLONG, EROFS } = constants.errno;
  const to = `to port ${forward.guest} of the guest`;
  if (forward.protocol === 'unix') {
    const because = {
      [EADDRINUSE]: 'there is a file of this name: remove it, if nothing uses it',
      [EACCES]: 'this user may not create files in its folder: choose another one',
      [ENOENT]: 'its folder does not exist: create it',
      [ENOTDIR]: 'what would be its folder is a file: choose another path',
      [EROFS]: 'its file system is read-only: choose another path',
      [ENAMETOOLONG]: 'its path is longer than 107 bytes: choose a shorter one',
    }[errno];
    return `socket ${forward.path} cannot be forwarded ${to}: ${because ?? codeText(errnoName(errno))}`;
  }
  const { protocol, address, host } = forward;
  const why = await portFailure({ protocol, address, number: host }, errnoName(errno), root);
  return `${protocol} port ${host} of ${address} cannot be forwarded ${to}: ${why}`;
}

function rootFailure(errno: number, { tftp }: UserOptions): string {
  const { ENOENT, ENOTDIR, EACCES, ELOOP, EPERM, ENOSYS, EINVAL } = constants.errno;
  if (tftp !== undefined) {
    const notFolder = 'it is not a folder: give one';
    // Linux reports a file as an invalid argument, in the last step.
    if (errno === EINVAL && statSync(tftp, { throwIfNoEntry: false })?.isDirectory() === false)
      return `folder ${tftp} cannot be served by TFTP: ${notFolder}`;
    const why = {
      [ENOENT]: 'it does not exist: create it',
      [ENOTDIR]: notFolder,
      [EACCES]: 'this user may not read it: choose another one',
      [ELOOP]: 'its symbolic links lead in a circle: give another path',
    }[errno];
    if (why !== undefined) return `folder ${tftp} cannot be served by TFTP: ${why}`;
  }
  const needs = tftp === undefined ? 'guestfwd' : 'tftp';
  if (errno === EPERM)
    return `${needs} requires root, or user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces): enable them, or leave it out`;
  if (errno === ENOSYS || errno === EINVAL) return `${needs} requires Linux 5.12 or newer: leave it out`;
  return `${needs} is not possible: ${codeText(errnoName(errno))}`;
}
