import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The bundler's constant. While vring runs, an upgrade can replace what is on the disk: bundles do not look there for themselves. */
declare const VRING_VERSION: string | undefined;
const bundledVersion = typeof VRING_VERSION === 'string' ? VRING_VERSION : null;

/** Does vring run from what the build made? */
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

/** A file that the build made. @throws in a checkout that was not built */
export function builtFile(name: string): string {
  const path = join(projectRoot(), 'dist', name);
  if (!bundled && !existsSync(path)) throw new Error(`${path} is missing: ${howToRepair()}`);
  return path;
}

/** What to do about a file of the build that is missing or does not match, as the end of a sentence. */
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
