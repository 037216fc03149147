import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { printable } from '../text/printable.ts';

export type PathCompletion = {
  /** The text up to where its completions differ; directories end with `/`. */
  readonly text: string;
  /** Completions of the last part of the path. */
  readonly candidates: readonly string[];
};

/** The absolute path for one typed by a user, with `~` for the home folder. */
export function filePath(text: string): string {
  return resolve(text === '~' || text.startsWith('~/') ? join(homedir(), text.slice(1)) : text);
}

/** Completes a path being typed. Omits files with unprintable names. */
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

/** The same for a word out of several. */
export function completeWord(text: string, words: readonly string[]): PathCompletion {
  const candidates = words.filter(word => word.startsWith(text));
  return { text: commonStart(candidates, text), candidates };
}

/** The longest common prefix; `start` if there are no names. */
function commonStart(names: readonly string[], start: string): string {
  let common = names[0] ?? start;
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
  return common;
}
