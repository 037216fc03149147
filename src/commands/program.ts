import { Command } from 'commander';
import { version } from '../project-root.ts';
import { printError, writeOut } from '../text/output.ts';
import { registerAttach } from './attach.ts';
import { registerCompletion } from './completion.ts';
import { registerDemo } from './demo.ts';
import { registerDevices } from './devices.ts';
import { registerHelp } from './help.ts';
import { registerHostCommands } from './host/index.ts';
import { registerImageCommands } from './image/index.ts';
import { registerManagerCommands } from './manager/index.ts';
import { registerMetrics } from './metrics.ts';
import { registerNetCommands } from './net/index.ts';
import { registerRun } from './run.ts';
import { registerServe } from './serve.ts';
import { registerTop } from './top.ts';
import { registerUi } from './ui.ts';
import { registerVersion } from './version.ts';
import { registerVmCommands } from './vm/index.ts';

/** In the order of `--help`. */
const REGISTER = [
  registerUi,
  registerVmCommands,
  registerRun,
  registerTop,
  registerAttach,
  registerServe,
  registerManagerCommands,
  registerMetrics,
  registerDemo,
  registerDevices,
  registerImageCommands,
  registerNetCommands,
  registerHostCommands,
  registerCompletion,
  registerHelp,
  registerVersion,
];

/**
 * The whole command line as a tree of commands: the source of parsing, help, docs/cli.md, the man page and completion.
 * Building it runs nothing; commands load what they need when they run.
 */
export function buildProgram(): Command {
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
  for (const register of REGISTER) register(program);
  nameHelp(program, 'vring');
  // An unknown command gets a better message below. The commands registered so far do not inherit this.
  program.allowExcessArguments();
  return program;
}

/** Points to --help after a wrong option or argument, and words the help of commands that have others below them. */
function nameHelp(command: Command, words: string): void {
  command.showHelpAfterError(`(run ${words} --help for usage)`);
  if (words !== 'vring' && command.commands.length > 0) {
    command.helpCommand('help [command]', 'show the help of a command');
  }
  for (const below of command.commands) nameHelp(below, `${words} ${below.name()}`);
}
