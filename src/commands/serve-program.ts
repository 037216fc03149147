import { commandLine } from './command-line.ts';
import { nameProcess } from './machine-here.ts';
import { runProgram } from './run-program.ts';
import { registerServe } from './serve.ts';

/**
 * The command line of `vring serve`, in one bundle, as a UI that starts a manager waits for it. The manager's later
 * needs are loaded with it, because it keeps running while an upgrade of vring removes its files.
 */
nameProcess();
void runProgram(() => commandLine([registerServe]), process.argv);
