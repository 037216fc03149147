import type { Command } from 'commander';

/**
 * The parts of help, docs/cli.md and the man page beyond a command's description and options. Text between backticks is
 * literal.
 */
export type Manual = {
  /** One paragraph each. */
  readonly text?: readonly string[];
  readonly examples?: readonly Example[];
  /** The keys of the document that --json prints, besides `version`, and their meanings. */
  readonly json?: readonly (readonly [key: string, meaning: string])[];
};

export type Example = { readonly command: string; readonly does: string };

/** For commands that run until the user leaves them. */
export const LEFT_STATUS =
  'Ctrl-C ends it with exit status 0, any other signal with 128 plus its number: 143 for SIGTERM.';

const manuals = new WeakMap<Command, Manual>();

/** Attaches a manual to a command; its --help shows text and examples. */
export function withManual(command: Command, manual: Manual): Command {
  manuals.set(command, manual);
  return command.addHelpText('after', ({ command }) =>
    helpText(manual, command.createHelp().helpWidth ?? 80),
  );
}

export function manualOf(command: Command): Manual {
  return manuals.get(command) ?? {};
}

function helpText({ text = [], examples = [] }: Manual, cells: number): string {
  const paragraphs = text.map(paragraph => wrapWords(plain(paragraph), cells).join('\n'));
  const lines = examples.map(({ command, does }) => `  ${command}\n      ${does}`);
  const sections = [...paragraphs, ...(lines.length > 0 ? [`Examples:\n${lines.join('\n')}`] : [])];
  return sections.map(section => `\n${section}`).join('\n');
}

/** A text without its markup. */
export function plain(text: string): string {
  return text.replaceAll('`', '');
}

function wrapWords(text: string, cells: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > cells) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
