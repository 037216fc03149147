import type { HostRoot } from '../root.ts';

export type ConfigLine = { readonly file: string; readonly line: number; readonly text: string };

/**
 * The lines of a layered configuration directory, in the order in which its program reads them: files by name, where
 * one of an earlier directory hides those of the same name in later ones. Comments and empty lines are left out,
 * lines that end with a backslash joined.
 * @param directories highest precedence first
 */
export function configLines(root: HostRoot, directories: readonly string[], suffix: string): ConfigLine[] {
  const files = new Map<string, string>();
  for (const directory of directories) {
    for (const name of root.list(directory) ?? []) {
      if (name.endsWith(suffix) && !files.has(name)) files.set(name, `${directory}/${name}`);
    }
  }
  return [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, file]) => fileLines(file, root.text(file) ?? ''));
}

export function fileLines(file: string, text: string): ConfigLine[] {
  const lines: ConfigLine[] = [];
  let joined = '';
  text.split('\n').forEach((raw, index) => {
    joined += raw;
    if (raw.endsWith('\\')) {
      joined = `${joined.slice(0, -1)} `;
      return;
    }
    const line = joined.trim();
    joined = '';
    if (line !== '' && !line.startsWith('#')) lines.push({ file, line: index + 1, text: line });
  });
  return lines;
}
