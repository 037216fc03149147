import path from 'node:path';
import { xdgFolder } from '../files/home-folders.ts';

/** Where definitions are: $VRING_DEFINITIONS_DIR, else /etc/vring/vms for root, else ~/.config/vring/vms. */
export function definitionsFolder(env: NodeJS.ProcessEnv = process.env, uid = process.getuid!()): string {
  if (env.VRING_DEFINITIONS_DIR) return path.resolve(env.VRING_DEFINITIONS_DIR);
  if (uid === 0) return '/etc/vring/vms';
  return path.join(xdgFolder(env, 'XDG_CONFIG_HOME', '.config'), 'vring/vms');
}
