import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { cacheDirectory } from '../rig/workspace.ts';

/**
 * A program of a Debian package: the installed one, or the package's as downloaded by apt and unpacked in the cache. A
 * package that is only unpacked starts no service.
 * @throws if it is not installed and apt cannot download it
 */
export async function debianProgram(packageName: string, program: string): Promise<string> {
  const installed = (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, program))
    .find(existsSync);
  return installed ?? join(await unpacked(packageName), 'usr/bin', program);
}

/** A file of a Debian package, which is only unpacked. @throws if apt cannot download it */
export async function debianFile(packageName: string, path: string): Promise<string> {
  return join(await unpacked(packageName), path);
}

/** Unpacks the package next to its final place, then renames it. */
async function unpacked(packageName: string): Promise<string> {
  const packages = join(cacheDirectory, 'packages');
  const root = join(packages, packageName);
  if (existsSync(root)) return root;
  await mkdir(packages, { recursive: true });
  const work = await mkdtemp(join(packages, 'unpack-'));
  try {
    await execa('apt-get', ['download', '-qq', packageName], { cwd: work });
    const archive = (await readdir(work)).find(name => name.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get downloaded no package ${packageName}`);
    await execa('dpkg', ['--extract', archive, 'root'], { cwd: work });
    await rename(join(work, 'root'), root).catch(error => {
      if (!existsSync(root)) throw error; // another test was first: its copy is as good
    });
    return root;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
