import type { Command } from 'commander';
import { likely } from '../text/nearest.ts';
import { printable } from '../text/printable.ts';
import { UsageError } from '../text/usage-error.ts';

/** A group's default command. Rejects an unknown subcommand with a suggestion. */
export function listCommand(group: Command, name = 'list'): Command {
  return group
    .command(name, { isDefault: true })
    .allowExcessArguments()
    .hook('preAction', (_, list) => {
      const [unknown] = list.args;
      if (unknown === undefined) return;
      const names = group.commands.map(command => command.name());
      const near = likely(unknown, names);
      const help = near === null ? `expected ${names.join(', ')}` : `did you mean "${group.name()} ${near}"?`;
      throw new UsageError(`there is no command "${group.name()} ${printable(unknown)}"; ${help}`);
    });
}
