import type { Socket } from 'node:net';
import { Struct } from '../../vmm/kvm/c-struct.ts';
import { getSocketOption } from '../../vmm/native/libc.ts';

/** unix(7), from asm-generic/socket.h. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

const ucred = new Struct('struct ucred', { pid: 's32', uid: 'u32', gid: 'u32' });

export type PeerCredentials = { readonly pid: number; readonly uid: number; readonly gid: number };

/**
 * Who connected the other end of a Unix socket, as the kernel noted it at connect(2).
 * @throws when the socket is closed
 */
export function peerCredentials(socket: Socket): PeerCredentials {
  const value = new Uint8Array(ucred.size);
  getSocketOption(fdOf(socket), 'SO_PEERCRED', SOL_SOCKET, SO_PEERCRED, value);
  return ucred.read(value);
}

/** Node has no public way to a socket's fd; its handle has had this property since its beginnings. */
function fdOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('the socket is closed');
  return handle.fd;
}
