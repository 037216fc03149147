import type { Command } from 'commander';
import { manualOf } from '../../src/commands/manual.ts';
import {
  argumentText,
  type NamedCommand,
  optionText,
  ownOptions,
  subcommands,
  usage,
} from './command-tree.ts';
import { ENVIRONMENT, type Entry, EXIT_STATUS, FILES, INTRODUCTION, OUTPUT } from './pages.ts';

/** docs/cli.md. */
export function cliMarkdown(program: Command): string {
  const root = { name: program.name(), command: program };
  const parts = [
    '# The command line',
    'This page is generated from the commands in `src/commands/` by `npm run docs`; `--help` after a command and `man vring` show the same.',
    INTRODUCTION,
    ...body(root),
    ...subcommands(root).flatMap(each => section(each, '##')),
    '## Output and exit status',
    OUTPUT,
    table(['Status', 'Meaning'], EXIT_STATUS),
    '## Environment',
    table(['Variable', 'Meaning'], ENVIRONMENT),
    '## Files',
    table(['File', 'What it is'], FILES),
  ];
  return `${parts.join('\n\n')}\n`;
}

function section(named: NamedCommand, level: string): string[] {
  return [
    `${level} ${named.name}`,
    `${capital(named.command.description())}.`,
    ...(named.command.commands.length > 0 ? [] : body(named)),
    ...subcommands(named).flatMap(each => section(each, `${level}#`)),
  ];
}

function body(named: NamedCommand): string[] {
  const { command } = named;
  const { text = [], examples = [], json = [] } = manualOf(command);
  const words = [
    ...command.registeredArguments
      .filter(argument => argument.description !== '')
      .map(argument => ({ term: `<${argument.name()}>`, text: argumentText(argument) })),
    ...ownOptions(command).map(option => ({ term: option.flags, text: optionText(option) })),
  ];
  return [
    fence(named.command.parent === null ? `${named.name} [options] [command]` : usage(named)),
    ...text,
    ...(words.length > 0 ? [table(['Argument or option', 'What it does'], words)] : []),
    ...(json.length > 0
      ? [
          '`--json` prints:',
          table(
            ['Key', 'What it holds'],
            json.map(([term, text]) => ({ term, text })),
          ),
        ]
      : []),
    ...(examples.length > 0
      ? [fence(examples.map(({ command, does }) => `# ${does}\n${command}`).join('\n'))]
      : []),
  ];
}

function fence(text: string): string {
  return `\`\`\`sh\n${text}\n\`\`\``;
}

function table([left, right]: readonly [string, string], entries: readonly Entry[]): string {
  const rows = entries.map(({ term, text }) => `| \`${cell(term)}\` | ${cell(text)} |`);
  return [`| ${left} | ${right} |`, '| --- | --- |', ...rows].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
