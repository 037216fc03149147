import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../rig/tools.ts';
import { cacheDirectory } from '../rig/workspace.ts';

/**
 * Folders with the newest Linux headers that apt offers, for the C compiler: from the cache, or from their package,
 * which is not installed. Debian 12's own are of Linux 6.1; its backports have newer ones.
 */
export async function kernelHeaders(): Promise<string[]> {
  const { stdout } = await run('apt-cache', ['madison', 'linux-libc-dev']);
  const versions = [...stdout.matchAll(/^ *linux-libc-dev \| +(\S+) /gm)].map(([, version]) => version!);
  const newest = versions.sort(byNumbers).at(-1);
  if (newest === undefined) throw new Error('apt knows no linux-libc-dev: run scripts/install-deps.sh');
  const root = join(cacheDirectory, `linux-libc-dev-${newest}`);
  if (!existsSync(root)) await download(newest, root);
  return ['usr/include', 'usr/include/x86_64-linux-gnu'].map(folder => join(root, folder));
}

/** Unpacks the package next to its final place, then renames it. */
async function download(version: string, root: string): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true });
  const work = await mkdtemp(join(cacheDirectory, 'headers-'));
  try {
    await run('apt-get', ['download', '-qq', `linux-libc-dev=${version}`], { cwd: work });
    const [archive] = (await readdir(work)).filter(name => name.endsWith('.deb'));
    await run('dpkg', ['--extract', join(work, archive!), join(work, 'root')]);
    await rename(join(work, 'root'), root).catch(error => {
      if (!existsSync(root)) throw error; // another test run was faster: use its copy
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Sorts 6.12.95 after 6.1.187. */
function byNumbers(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
