import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of files beyond which the oldest are removed, and what is kept then: each version of vring leaves some 10 MiB. */
const LIMIT = 64 * 2 ** 20;
const KEPT = 32 * 2 ** 20;

/** Where bin/vring has Node keep compiled code; null: it does not, or the user has chosen a folder, which others may use. */
export function codeCache(env: NodeJS.ProcessEnv = process.env): string | null {
  const { NODE_COMPILE_CACHE: used, XDG_CACHE_HOME: caches, HOME: home } = env;
  const ours = caches ? join(caches, 'vring') : home ? join(home, '.cache/vring') : null;
  return used === ours ? ours : null;
}

/**
 * Node keeps compiled code by the content of what it was compiled from, and never removes any: that of each Node has a folder, and that of each
 * version of vring stays. Removes the files that were used longest ago, as far as the host keeps track of that, if there are too many; what is
 * still of use is compiled again.
 * @returns how many were removed
 */
export async function pruneCodeCache(folder: string, limit = LIMIT, kept = KEPT): Promise<number> {
  const files = (await filesIn(folder)).sort((a, b) => b.usedAt - a.usedAt);
  let bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= limit) return 0;
  let removed = 0;
  for (let oldest = files.pop(); oldest !== undefined && bytes > kept; oldest = files.pop()) {
    bytes -= oldest.size;
    // Another manager of this user may have removed it.
    removed += await unlink(oldest.path).then(
      () => 1,
      () => 0,
    );
  }
  for (const name of await folders(folder)) await rmdir(join(folder, name)).catch(() => {});
  return removed;
}

type CachedFile = { readonly path: string; readonly size: number; readonly usedAt: number };

async function filesIn(folder: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for (const name of await folders(folder)) {
    for (const file of await readdir(join(folder, name)).catch(() => [])) {
      const path = join(folder, name, file);
      const status = await lstat(path).catch(() => null);
      if (status?.isFile())
        files.push({ path, size: status.size, usedAt: Math.max(status.atimeMs, status.mtimeMs) });
    }
  }
  return files;
}

/** Those of versions of Node, such as v24.21.0-x64-964aae3f-0. */
async function folders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter(entry => entry.isDirectory() && /^v\d/.test(entry.name)).map(({ name }) => name);
}
