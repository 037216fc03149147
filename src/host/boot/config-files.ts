import { HostReadError, type HostRoot } from '../root.ts';

export type ConfigLine = { readonly file: string; readonly line: number; readonly text: string };

const unreadable = new WeakMap<HostRoot, Set<string>>();

/** Configuration files and directories that this user may not read, or that are damaged. */
export function unreadableConfig(root: HostRoot): readonly string[] {
  return [...(unreadable.get(root) ?? [])];
}

/** The text of a file; null if it is missing or cannot be read, which {@link unreadableConfig} then reports. */
export function configText(root: HostRoot, file: string): string | null {
  return noting(root, file, () => root.text(file));
}

function noting<Value>(root: HostRoot, path: string, read: () => Value | null): Value | null {
  const noted = unreadable.get(root) ?? new Set();
  unreadable.set(root, noted);
  noted.delete(path);
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HostReadError)) throw error;
    noted.add(path);
    return null;
  }
}

/**
 * Files of a layered configuration directory, in the order in which their program reads them: by name. A file in an
 * earlier directory masks those of the same name in later ones.
 * @param directories highest precedence first
 */
export function configFiles(root: HostRoot, directories: readonly string[], suffix: string): string[] {
  const files = new Map<string, string>();
  for (const directory of directories) {
    for (const name of noting(root, directory, () => root.list(directory)) ?? []) {
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
  return configFiles(root, directories, suffix).flatMap(file =>
    fileLines(file, configText(root, file) ?? ''),
  );
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
