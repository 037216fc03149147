import type { Command } from 'commander';
import type { Manual } from '../manual.ts';

/** Keys of the JSON document of every command that makes a definition. */
export const DEFINED: NonNullable<Manual['json']> = [
  ['name', "the VM's name"],
  ['saved', 'false with --dry-run'],
  ['definition', 'the definition, as YAML'],
  [
    'missing',
    '{ `key`, `what` }[]: what it asks for and this version does not support: it cannot start until then',
  ],
];

export function withDefineOptions(command: Command): Command {
  return command
    .option('--replace', 'in place of a definition of that name, which is kept as NAME.yaml~')
    .option('--dry-run', 'print the definition, and make nothing')
    .option('--json', 'as JSON');
}
