import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of vring's package.json: above src/ in a checkout, above dist/ in the bundles. */
export function projectRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error(`vring's package.json is not above ${import.meta.dirname}: reinstall vring`);
    folder = parent;
  }
  return folder;
}

/** A file that the build made. @throws when it was not built. */
export function builtFile(name: string): string {
  const path = join(projectRoot(), 'dist', name);
  if (!existsSync(path)) throw new Error(`${path} is missing: build it with npm ci or npm run build`);
  return path;
}

export function version(): string {
  const { version } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8'));
  return String(version);
}
