import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, with those above it that are missing. Node's own way to do so never returns on a file system that has
 * no new folders and says ENOENT, such as /proc.
 * @param mode of the new folders
 * @returns the topmost new folder; undefined if the folder was there
 */
export function makeFolders(folder: string, mode = 0o777): string | undefined {
  const missing: string[] = [];
  let above = resolve(folder);
  for (; statSync(above, { throwIfNoEntry: false }) === undefined; above = dirname(above))
    missing.unshift(above);
  if (missing.length === 0 && !isFolder(above)) mkdirSync(above);
  const made = missing.filter(each => makeFolder(each, mode));
  return made[0];
}

/** False if another process was faster. */
function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !isFolder(path)) throw error;
    return false;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
