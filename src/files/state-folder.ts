import { join, resolve } from 'node:path';

type Env = Readonly<Record<string, string | undefined>>;

/** Where vring keeps persistent state: /var/lib/vring for root, else below $XDG_STATE_HOME. */
export function stateFolder(env: Env = process.env, uid: number = process.getuid!()): string {
  if (env.VRING_STATE_DIR) return resolve(env.VRING_STATE_DIR);
  if (uid === 0) return '/var/lib/vring';
  return join(env.XDG_STATE_HOME || join(env.HOME || '/', '.local/state'), 'vring');
}
