import type { Socket } from 'node:net';
import { credentialsOfPeer, type PeerCredentials } from '../../vmm/native/unix-socket.ts';

export type { PeerCredentials } from '../../vmm/native/unix-socket.ts';

/**
 * The credentials of a Unix socket's peer, as the kernel recorded them at connect(2).
 * @throws when the socket is closed
 */
export function peerCredentials(socket: Socket): PeerCredentials {
  return credentialsOfPeer(fdOf(socket));
}

/** Node has no public API for a socket's fd; its handle has always had this property. */
function fdOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('the socket is closed');
  return handle.fd;
}
