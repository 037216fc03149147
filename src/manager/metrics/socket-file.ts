import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/** The group may scrape: in a setgid folder, the folder's group. */
const MODE = 0o660;

/**
 * Frees `path` for a socket: removes one that a process left behind.
 * @throws when a process listens there, or it is not a socket
 */
export async function claimSocketPath(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    // libuv reports a missing folder as EACCES.
    if (!existsSync(dirname(path))) throw Object.assign(new Error('no folder'), { code: 'ENOENT' });
    return;
  }
  if (!stats.isSocket())
    throw new Error('there is a file that is not a socket; remove it, or choose another path');
  if (await isListening(path)) throw Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
  unlinkSync(path);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      // The backlog is full: a process listens, but is slow.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

/** Binds and listens; clients can connect only once the permissions are set. */
export function bindUnix(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Node binds before listen() returns.
    const umask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        chmodSync(path, MODE);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}
