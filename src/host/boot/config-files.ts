import type { HostRoot } from '../root.ts';

export type ConfigLine = { readonly file: string; readonly line: number; readonly text: string };

/**
 * Files of a layered configuration directory, in the order in which their program reads them: by name. A file in an
 * earlier directory masks those of the same name in later ones.
 * @param directories highest precedence first
 */
export function configFiles(root: HostRoot, directories: readonly string[], suffix: string): string[] {
  const files = new Map<string, string>();
  for (const directory of directories) {
    for (const name of root.list(directory) ?? []) {
      if (name.endsWith(suffix) && !files.has(name)) files.set(name, `${directory}/${name}`);
    }
  }
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}

/**
 * The lines of these files, without comments and empty lines; lines that end with a backslash are joined.
 * @param directories highest precedence first
 */
export function configLines(root: HostRoot, directories: readonly string[], suffix: string): ConfigLine[] {
  return configFiles(root, directories, suffix).flatMap(file => fileLines(file, root.text(file) ?? ''));
}

export function fileLines(file: string, text: string): ConfigLine[] {
  const lines: ConfigLine[] = [];
  let joined = '';
  text.split('\n').forEach((raw, index) => {
    if (raw.endsWith('\\')) {
      joined += raw.slice(0, -1);
      return;
    }
    const line = (joined + raw).trim();
    joined = '';
    if (line !== '' && !/^[#;]/.test(line)) lines.push({ file, line: index + 1, text: line });
  });
  return lines;
}
