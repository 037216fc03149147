import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/** The group may scrape: in a set-group-ID folder, that is the folder's group. */
const MODE = 0o660;

/**
 * Makes way for a socket at `path`: one that a process left behind is removed.
 * @throws when a process listens there, or something other than a socket is there
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
      // A full backlog: somebody listens, and is slow.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

/** Binds and listens; nobody can connect before the permissions are right. */
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
