import path from 'node:path';

/** Where definitions are: $VRING_DEFINITIONS_DIR, else /etc/vring/vms for root, else ~/.config/vring/vms. */
export function definitionsFolder(env: NodeJS.ProcessEnv = process.env, uid = process.getuid!()): string {
  if (env.VRING_DEFINITIONS_DIR) return path.resolve(env.VRING_DEFINITIONS_DIR);
  if (uid === 0) return '/etc/vring/vms';
  return path.join(env.XDG_CONFIG_HOME || path.join(env.HOME || '/', '.config'), 'vring/vms');
}
