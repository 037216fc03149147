import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtFile, bundled, projectRoot } from './project-root.ts';

/**
 * Loads what a long-running module imports late. An upgrade of vring removes those files, and what is loaded stays.
 * @param module its path in the project; one of LONG_RUNNING in scripts/bundle.mjs
 */
export async function loadAhead(module: 'src/manager/serve.ts' | 'src/app.tsx'): Promise<void> {
  if (!bundled) return;
  const late = JSON.parse(readFileSync(builtFile('load-ahead.json'), 'utf8'));
  for (const path of late[module]) await import(pathToFileURL(join(projectRoot(), 'dist', path)).href);
}
