import '../text/jitless-schemas.ts';

import { mark, markThread } from '../vmm/machine/start-trace.ts';
import { commandLine } from './command-line.ts';
import { registerRun } from './run.ts';
import * as here from './run-here.ts';
import { runProgram } from './run-program.ts';

/**
 * The command line of `vring run` with the VM in this process, for scripts: a single bundle, which loads in half the
 * time of everything that serves the other commands, too.
 */
const program = () => commandLine([run => registerRun(run, async () => here)]);

markThread('node');
mark('program');
void runProgram(program, process.argv);
