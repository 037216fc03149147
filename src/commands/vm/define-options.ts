import type { Command } from 'commander';
import type { Manual } from '../manual.ts';

/** Keys of the JSON document of every command that creates a definition. */
export const DEFINED: NonNullable<Manual['json']> = [
  ['name', "the VM's name"],
  ['saved', 'false with --dry-run'],
  ['definition', 'the definition, as YAML'],
  [
    'missing',
    '{ `key`, `what` }[]: settings that this version does not support; the VM cannot start with them',
  ],
];

export function withDefineOptions(command: Command): Command {
  return command
    .option('--replace', 'replace a definition of the same name, keeping it as NAME.yaml~')
    .option('--dry-run', 'print the definition without creating anything')
    .option('--json', 'print JSON');
}
