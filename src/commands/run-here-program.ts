import { commandLine } from './command-line.ts';
import { registerRun } from './run.ts';
import * as here from './run-here.ts';
import { runProgram } from './run-program.ts';

/**
 * The command line of `vring run` with the VM in this process, as scripts use it: in one bundle, which loads in half the time of all that
 * serves the other commands, too.
 */
const program = () => commandLine([run => registerRun(run, async () => here)]);

await runProgram(program, process.argv);
