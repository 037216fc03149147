import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Defined by the bundler. An upgrade can replace the files on disk while vring runs, so bundles do not read their
 * version from there.
 */
declare const VRING_VERSION: string | undefined;
const bundledVersion = typeof VRING_VERSION === 'string' ? VRING_VERSION : null;

/** Whether vring runs from the built bundles. */
export const bundled = bundledVersion !== null;

/** The folder of vring's package.json: above src/ in a checkout, above dist/ in the bundles. */
export function projectRoot(): string {
  let folder = import.meta.dirname;
  if (bundled) return folder.slice(0, folder.lastIndexOf('/dist'));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${import.meta.dirname}: clone vring again`);
    folder = parent;
  }
  return folder;
}

/** A file created by the build. @throws in a checkout that was not built */
export function builtFile(name: string): string {
  const path = join(projectRoot(), 'dist', name);
  if (!bundled && !existsSync(path)) throw new Error(`${path} is missing: ${howToRepair()}`);
  return path;
}

/** What to do about a missing or mismatched file of the build, as the end of a sentence. */
export function howToRepair(): string {
  return existsSync(join(projectRoot(), 'src/cli.ts')) ? 'run npm ci or npm run build' : 'reinstall vring';
}

/** Read once: a process may be confined later. */
let known = bundledVersion;

export function version(): string {
  if (known !== null) return known;
  const { version } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8'));
  known = String(version);
  return known;
}
