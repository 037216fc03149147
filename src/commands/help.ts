import type { Command } from 'commander';
import { likely } from '../text/nearest.ts';
import { printable } from '../text/printable.ts';
import { UsageError } from '../text/usage-error.ts';
import { withManual } from './manual.ts';

/** `vring help [COMMAND...]`: the same as `vring [COMMAND...] --help`. */
export function registerHelp(program: Command): void {
  const help = program
    .helpCommand(false)
    .command('help')
    .argument('[command...]', 'a command, such as vm create')
    .description('Show the help of a command')
    .action((words: string[]) => commandAt(program, words).help());
  withManual(help, {
    examples: [{ command: 'vring help vm create', does: 'what vring vm create --help shows' }],
  });
}

/** @throws UsageError for an unknown command, with a suggestion */
function commandAt(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const [at, word] of words.entries()) {
    const names = command.commands.map(each => each.name());
    const next = command.commands.find(each => each.name() === word || each.aliases().includes(word));
    if (next === undefined) {
      const above = ['vring', ...words.slice(0, at)].join(' ');
      const near = likely(word, names);
      const hint =
        near !== null
          ? `did you mean ${near}?`
          : names.length > 0
            ? `${above} --help lists them`
            : 'it has none';
      throw new UsageError(`${above} has no command "${printable(word)}"; ${hint}`);
    }
    command = next;
  }
  return command;
}
