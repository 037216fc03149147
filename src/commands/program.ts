import { Command } from 'commander';
import { version } from '../project-root.ts';
import { printError, writeOut } from '../text/output.ts';
import { registerAttach } from './attach.ts';
import { registerCompletion } from './completion.ts';
import { registerDemo } from './demo.ts';
import { registerDevices } from './devices.ts';
import { registerHelp } from './help.ts';
import { registerHostCommands } from './host/index.ts';
import { registerManagerCommands } from './manager/index.ts';
import { registerMetrics } from './metrics.ts';
import { registerRun } from './run.ts';
import { registerServe } from './serve.ts';
import { registerTop } from './top.ts';
import { registerUi } from './ui.ts';
import { registerVersion } from './version.ts';
import { registerVmCommands } from './vm/index.ts';

/** In the order in which help lists them. */
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
  registerHostCommands,
  registerCompletion,
  registerHelp,
  registerVersion,
];

/**
 * The whole command line, as a tree of commands: what is parsed, and what help, docs/cli.md, the man page and completion
 * are made from. Building it runs nothing; what a command needs is loaded when it runs.
 */
export function buildProgram(): Command {
  const program = new Command('vring')
    .description('A terminal hypervisor: PCI devices, and guests on its own VMM, from one screen over SSH')
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
  // For a word that is no command there is a better message. The commands before have not inherited this.
  program.allowExcessArguments();
  return program;
}

/** After a wrong option or argument, where the right ones are. */
function nameHelp(command: Command, words: string): void {
  command.showHelpAfterError(`(${words} --help shows what there is)`);
  for (const below of command.commands) nameHelp(below, `${words} ${below.name()}`);
}
