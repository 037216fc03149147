import type { Argument, Command, Option } from 'commander';

/** A command with its full name: `vring vm list`. */
export type NamedCommand = { readonly name: string; readonly command: Command };

/** Direct subcommands, as listed by help, without `help` itself. */
export function subcommands({ name, command }: NamedCommand): NamedCommand[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter(each => each.name() !== 'help')
    .map(command => ({ name: `${name} ${command.name()}`, command }));
}

/** Runnable commands below one, in the order of help. */
export function runnableCommands(group: NamedCommand): NamedCommand[] {
  return subcommands(group).flatMap(each =>
    each.command.commands.length > 0 ? runnableCommands(each) : [each],
  );
}

/** `vring vm show [options] <vm...>`. */
export function usage({ name, command }: NamedCommand): string {
  return `${name} ${command.usage().replace(' [command]', '')}`.trim();
}

/** A command's own options, without `--help`. */
export function ownOptions(command: Command): readonly Option[] {
  return command.options.filter(option => !option.hidden);
}

/** What an option does, with its choices and its default. */
export function optionText({
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
  required,
}: Option): string {
  const notes = [
    ...(argChoices ? [argChoices.join(', ')] : []),
    ...(required && defaultValue !== undefined
      ? [`default: ${defaultValueDescription ?? defaultValue}`]
      : []),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

/** What an argument is, with its choices. */
export function argumentText({ description, argChoices }: Argument): string {
  return argChoices ? `${description}: ${argChoices.join(', ')}` : description;
}
