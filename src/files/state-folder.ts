import { join, resolve } from 'node:path';
import { type Env, xdgFolder } from './home-folders.ts';

/** Where vring keeps persistent state: /var/lib/vring for root, else below $XDG_STATE_HOME. */
export function stateFolder(env: Env = process.env, uid: number = process.getuid!()): string {
  if (env.VRING_STATE_DIR) return resolve(env.VRING_STATE_DIR);
  if (uid === 0) return '/var/lib/vring';
  return join(xdgFolder(env, 'XDG_STATE_HOME', '.local/state'), 'vring');
}
