import type { Command, Option } from 'commander';
import { plain } from '../manual.ts';
import type { Answer, Candidate } from './answer.ts';
import { valuesFor } from './values.ts';

/** The parsed command line before the word at the cursor. */
type Place = {
  readonly command: Command;
  /** Arguments of the command so far. */
  readonly given: readonly string[];
  readonly options: readonly Option[];
  /** The option whose value comes next. */
  readonly pending: Option | null;
  /** `--` was seen: everything after it is an argument. */
  readonly onlyArguments: boolean;
};

/** Completes a command line. @param words after `vring`; the last one is completed */
export async function complete(program: Command, words: readonly string[]): Promise<Answer> {
  const current = words.at(-1) ?? '';
  const place = follow(program, words.slice(0, -1));
  if (place.pending !== null) return await valuesFor(place.pending.name(), place.pending, current);
  if (!place.onlyArguments && current.startsWith('-')) return await optionsAt(place, current);
  return await argumentsAt(place, current);
}

function follow(program: Command, words: readonly string[]): Place {
  let command = program;
  let given: string[] = [];
  let options: Option[] = [];
  let pending: Option | null = null;
  let onlyArguments = false;
  for (const word of words) {
    if (pending !== null) pending = null;
    else if (onlyArguments) given.push(word);
    else if (word === '--') onlyArguments = true;
    else if (word.startsWith('-')) {
      const [name, value] = word.split('=', 2);
      if (optionNamed(command, name!) === undefined) command = withoutCommand(command);
      const option = optionNamed(command, name!);
      if (option !== undefined) options.push(option);
      if (option?.required && value === undefined) pending = option;
    } else {
      const next = given.length === 0 ? command.commands.find(each => each.name() === word) : undefined;
      if (next === undefined) given.push(word);
      else [command, given, options] = [next, [], []];
    }
  }
  return { command, given, options, pending, onlyArguments };
}

/** Options that start with the word, or the values of an option followed by `=`. */
async function optionsAt(place: Place, current: string): Promise<Answer> {
  const { options } = place;
  const command = withoutCommand(place.command);
  const equals = current.indexOf('=');
  if (equals >= 0) {
    const option = optionNamed(command, current.slice(0, equals));
    if (option === undefined) return { kind: 'words', candidates: [] };
    const answer = await valuesFor(option.name(), option, current.slice(equals + 1));
    if (answer.kind !== 'words') return answer;
    const head = current.slice(0, equals + 1);
    return {
      kind: 'words',
      candidates: answer.candidates.map(({ value, description }) => ({ value: head + value, description })),
    };
  }
  const candidates = command
    .createHelp()
    .visibleOptions(command)
    .filter(option => isRepeatable(option) || !options.includes(option))
    .map(option => ({ value: option.long ?? option.short ?? '', description: plain(option.description) }));
  return beginning(candidates, current);
}

async function argumentsAt({ command, given }: Place, current: string): Promise<Answer> {
  const subcommands = given.length === 0 ? command.createHelp().visibleCommands(command) : [];
  if (subcommands.length > 0) {
    return beginning(
      subcommands.map(each => ({ value: each.name(), description: plain(each.description()) })),
      current,
    );
  }
  const last = command.registeredArguments.at(-1);
  const argument = command.registeredArguments[given.length] ?? (last?.variadic ? last : undefined);
  if (argument === undefined) return { kind: 'words', candidates: [] };
  return await valuesFor(argument.name(), argument, current, given);
}

function beginning(candidates: readonly Candidate[], start: string): Answer {
  return { kind: 'words', candidates: candidates.filter(({ value }) => value.startsWith(start)) };
}

function optionNamed(command: Command, name: string): Option | undefined {
  return command.options.find(({ long, short }) => name === long || name === short);
}

/** A group's default command. */
function withoutCommand(command: Command): Command {
  return command.commands.find(each => each.name() === 'list') ?? command;
}

/** Repeatable options have a parser that receives the earlier values. */
function isRepeatable({ parseArg, argChoices }: Option): boolean {
  return parseArg !== undefined && parseArg.length > 1 && argChoices === undefined;
}
