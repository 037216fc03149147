import type { HostRoot } from '../root.ts';
import { type Holder, holdersOf } from './holders.ts';
import { readOpenFiles } from './open-files.ts';

export type Port = {
  readonly protocol: 'tcp' | 'udp';
  readonly number: number;
};

/** The TCP state of a listening socket (net/tcp_states.h). */
const LISTENING = '0A';

/** The processes that use a port of this host, as far as this user may see them. */
export async function readPortUsers(root: HostRoot, { protocol, number }: Port): Promise<readonly Holder[]> {
  const inodes = new Set(
    ['', '6'].flatMap(family => {
      const text = root.text(`/proc/net/${protocol}${family}`, 16 << 20) ?? '';
      return text.split('\n').flatMap(line => {
        const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
        const isPort = Number.parseInt(local?.split(':')[1] ?? '', 16) === number;
        return isPort && (protocol === 'udp' || state === LISTENING) ? [`socket:[${inode}]`] : [];
      });
    }),
  );
  if (inodes.size === 0) return [];
  const { byKey } = holdersOf(await readOpenFiles(root), ({ target }) =>
    inodes.has(target) ? 'port' : null,
  );
  return byKey.get('port') ?? [];
}
