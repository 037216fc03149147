import { commandLine } from './command-line.ts';
import { runProgram } from './run-program.ts';
import { registerUi } from './ui.ts';

/**
 * The command line of `vring` alone, in one bundle, which loads in half the time of everything that serves the
 * commands, too.
 */
void runProgram(() => commandLine([registerUi]), process.argv);
