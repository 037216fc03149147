import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { printable } from '../text/printable.ts';

export type PathCompletion = {
  /** The text as far as all that it may become agrees; directories end with `/`. */
  readonly text: string;
  /** What the last part of the path may become. */
  readonly candidates: readonly string[];
};

/** A path as a user writes it, with `~` for the home folder, as an absolute one. */
export function filePath(text: string): string {
  return resolve(text === '~' || text.startsWith('~/') ? join(homedir(), text.slice(1)) : text);
}

/** What a path that is being typed may become. Files whose names cannot be shown as they are are left out. */
export async function completePath(text: string): Promise<PathCompletion> {
  if (text === '~') return { text: '~/', candidates: [] };
  const slash = text.lastIndexOf('/') + 1;
  const [folder, start] = [text.slice(0, slash), text.slice(slash)];
  const candidates = await namesIn(filePath(folder === '' ? '.' : folder), start);
  return { text: folder + commonStart(candidates, start), candidates };
}

async function namesIn(folder: string, start: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const fitting = entries.filter(
    ({ name }) =>
      name.startsWith(start) && (start.startsWith('.') || !name.startsWith('.')) && name === printable(name),
  );
  const names = fitting.map(async entry => {
    const isFolder =
      entry.isDirectory() ||
      (entry.isSymbolicLink() &&
        (await stat(join(folder, entry.name)).then(
          stats => stats.isDirectory(),
          () => false,
        )));
    return isFolder ? `${entry.name}/` : entry.name;
  });
  return (await Promise.all(names)).sort();
}

/** The same for one of several words. */
export function completeWord(text: string, words: readonly string[]): PathCompletion {
  const candidates = words.filter(word => word.startsWith(text));
  return { text: commonStart(candidates, text), candidates };
}

/** The longest beginning that all have; `start` when there are none. */
function commonStart(names: readonly string[], start: string): string {
  let common = names[0] ?? start;
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
  return common;
}
