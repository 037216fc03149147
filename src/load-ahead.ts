import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtFile, bundled, projectRoot } from './project-root.ts';

/** The bundler's constant: this is part of a bundle that has all of it in one file. */
declare const VRING_ONE_FILE: boolean | undefined;

/** Loads what the UI imports late. An upgrade of vring removes those files, and what is loaded stays. */
export async function loadAhead(): Promise<void> {
  if (!bundled || typeof VRING_ONE_FILE === 'boolean') return;
  const late: readonly string[] = JSON.parse(readFileSync(builtFile('load-ahead.json'), 'utf8'));
  for (const path of late) await import(pathToFileURL(join(projectRoot(), 'dist', path)).href);
}
