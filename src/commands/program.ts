import type { Command } from 'commander';
import { registerAttach } from './attach.ts';
import { commandLine, type Register } from './command-line.ts';
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
const REGISTER: readonly Register[] = [
  registerUi,
  registerVmCommands,
  program => registerRun(program, () => import('./run-vm.ts')),
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

/** The whole command line: the source of parsing, help, docs/cli.md, the man page and completion. */
export function buildProgram(): Command {
  return commandLine(REGISTER);
}
