import { kernelParameters } from '../kernel-cmdline.ts';
import type { HostRoot } from '../root.ts';
import { shellText } from '../text.ts';
import { type BootLoader, detectBootLoader } from './boot-loader.ts';

/** Words of a kernel command line with others added; a word of the same key gives way. */
export function withParameters(words: readonly string[], added: readonly string[]): string[] {
  const keys = new Set(added.map(keyOf));
  const kept = words.filter(word => added.includes(word) || !keys.has(keyOf(word)));
  return [...kept, ...added.filter(word => !kept.includes(word))];
}

function keyOf(word: string): string {
  return (word.split('=')[0] ?? '').replaceAll('-', '_');
}

type Command = readonly [string, ...string[]];

/** What puts parameters on the kernel's command line from the next boot on, by the means of this boot loader. */
export type ParameterEdits = {
  readonly loader: BootLoader;
  readonly added: readonly string[];
  /** Files to be replaced, with what they hold now. */
  readonly files: readonly { readonly path: string; readonly before: string; readonly after: string }[];
  /** To be run once the files are written. */
  readonly commands: readonly Command[];
  /** To be run once the files are as they were. */
  readonly undoCommands: readonly Command[];
};

/**
 * No files and no commands when the parameters are there already.
 * @throws when the boot loader is not one we know: with what to add by hand.
 */
export function kernelParameterEdits(root: HostRoot, added: readonly string[]): ParameterEdits {
  const loader = detectBootLoader(root);
  const nothing: ParameterEdits = { loader, added, files: [], commands: [], undoCommands: [] };
  if (loader.kind === 'unknown') {
    throw new Error(
      `the boot loader of this host is not one vring knows: add "${added.join(' ')}" to the kernel's command line by hand`,
    );
  }
  if (loader.kind === 'grubby') {
    const running = kernelParameters(root);
    const absent = added.filter(word => !running.includes(word));
    if (absent.length === 0) return nothing;
    const grubby = (option: string): Command => [
      loader.command![0],
      '--update-kernel=ALL',
      `${option}=${absent.join(' ')}`,
    ];
    return { ...nothing, commands: [grubby('--args')], undoCommands: [grubby('--remove-args')] };
  }
  const files = loader.files.flatMap(({ path, edit }) => {
    const before = root.text(path);
    const after = before === null ? null : editLines(before, edit, added);
    return before === null || after === null || after === before ? [] : [{ path, before, after }];
  });
  const commands = files.length === 0 || loader.command === null ? [] : [loader.command];
  return { ...nothing, files, commands, undoCommands: commands };
}

/** The edits as instructions for a person. */
export function parameterInstructions(edits: ParameterEdits): string[] {
  return [
    ...edits.files.map(file => `add ${edits.added.join(' ')} to ${file.path}`),
    ...edits.commands.map(shellText),
  ];
}

/** Applies an edit to each line it concerns. */
function editLines(
  text: string,
  edit: BootLoader['files'][number]['edit'],
  added: readonly string[],
): string {
  const replace = (words: string): string =>
    withParameters(words.split(/\s+/).filter(Boolean), added).join(' ');
  switch (edit) {
    case 'variable': {
      const assigned = /^(GRUB_CMDLINE_LINUX=)(["']?)(.*?)\2[ \t]*$/gm;
      if (!assigned.test(text)) {
        return `${text.replace(/\n?$/, '\n')}GRUB_CMDLINE_LINUX="${added.join(' ')}"\n`;
      }
      // The default variable comes later on the command line: what it says against us would win.
      const keys = new Set(added.map(keyOf));
      return text
        .replace(assigned, (_, name, _quote, words) => `${name}"${replace(words)}"`)
        .replace(/^(GRUB_CMDLINE_LINUX_DEFAULT=)(["'])(.*?)\2[ \t]*$/gm, (line, name, quote, words) => {
          const list = words.split(/\s+/).filter(Boolean) as string[];
          const kept = list.filter(word => added.includes(word) || !keys.has(keyOf(word)));
          return kept.length === list.length ? line : `${name}${quote}${kept.join(' ')}${quote}`;
        });
    }
    case 'kernel-lines':
      return text.replace(/^([ \t]*kernel[ \t]+\S+[ \t]+)(.*)$/gm, (_, head, words) => head + replace(words));
    case 'options-lines':
      return text.replace(/^(options[ \t]+)(.*)$/gm, (_, head, words) => head + replace(words));
    case 'whole':
      return `${replace(text)}\n`;
  }
}
