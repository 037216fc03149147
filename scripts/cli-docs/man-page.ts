import type { Command } from 'commander';
import { manualOf } from '../../src/commands/manual.ts';
import { version } from '../../src/project-root.ts';
import {
  argumentText,
  type NamedCommand,
  optionText,
  ownOptions,
  runnableCommands,
  usage,
} from './command-tree.ts';
import { ENVIRONMENT, type Entry, EXIT_STATUS, FILES, INTRODUCTION, OUTPUT, RELEASED } from './pages.ts';
import { filled, heading, item, paragraphs, subheading, verbatim } from './roff.ts';

/** man/vring.1, in man(7)'s macros. */
export function manPage(program: Command): string {
  const root = { name: program.name(), command: program };
  const parts = [
    '.\\" Made from src/commands/ by: npm run docs',
    `.TH VRING 1 ${RELEASED} "vring ${version()}" "User Commands"`,
    // No hyphenation or justification, so that text can be copied.
    '.nh',
    '.ad l',
    heading('Name'),
    filled(`vring - ${program.description()}`),
    heading('Synopsis'),
    verbatim(['vring [options]', 'vring [command] [options] [arguments]']),
    heading('Description'),
    paragraphs([INTRODUCTION, OUTPUT]),
    heading('Options'),
    ...words(program),
    item('-h, --help', 'show help; after a command, of that command'),
    heading('Commands'),
    ...runnableCommands(root).flatMap(commandSection),
    heading('Exit status'),
    ...entries(EXIT_STATUS),
    heading('Environment'),
    ...entries(ENVIRONMENT),
    heading('Files'),
    ...entries(FILES),
    heading('See also'),
    paragraphs([
      'docs/cli.md (the same, with the JSON documents), docs/api.md (the control socket), docs/keys.md (the UI), docs/host.md (the host)',
    ]),
  ];
  return `${parts.join('\n')}\n`;
}

function commandSection(named: NamedCommand): string[] {
  const { text = [], examples = [] } = manualOf(named.command);
  return [
    subheading(usage(named)),
    paragraphs([`${named.command.description()}.`, ...text]),
    ...words(named.command),
    ...(examples.length > 0
      ? ['.PP', verbatim(examples.flatMap(({ command, does }) => [`# ${does}`, command]))]
      : []),
  ];
}

function words(command: Command): string[] {
  return [
    ...command.registeredArguments
      .filter(argument => argument.description !== '')
      .map(argument => item(argument.name(), argumentText(argument))),
    ...ownOptions(command).map(option => item(option.flags, optionText(option))),
  ];
}

function entries(list: readonly Entry[]): string[] {
  return list.map(({ term, text }) => item(term, text));
}
