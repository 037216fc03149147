import { Command } from 'commander';
import { version } from '../project-root.ts';
import { printError, writeOut } from '../text/output.ts';

/** Adds one or more commands to the tree. Commands load their code only when they run. */
export type Register = (program: Command) => void;

/** A command line with a tree of these commands. */
export function commandLine(registered: readonly Register[]): Command {
  const program = new Command('vring')
    .description(
      'A terminal hypervisor: run VMs on its own VMM and manage PCI devices, from one screen over SSH',
    )
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .configureOutput({
      writeOut,
      writeErr: text => printError(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'vring: ')),
    })
    .exitOverride();
  for (const register of registered) register(program);
  nameHelp(program, 'vring');
  // An unknown command gets a better message below. The commands registered so far do not inherit this.
  program.allowExcessArguments();
  return program;
}

/** Points to --help after an invalid option or argument, and words the help of commands with subcommands. */
function nameHelp(command: Command, words: string): void {
  command.showHelpAfterError(`(run ${words} --help for usage)`);
  if (words !== 'vring' && command.commands.length > 0) {
    command.helpCommand('help [command]', 'show the help of a command');
  }
  for (const below of command.commands) nameHelp(below, `${words} ${below.name()}`);
}
