/** The file of a machine thread that a released vring starts: it loads the thread's program. */
import { runCompiled } from '../../files/compiled-program.ts';
import { builtFile } from '../../project-root.ts';

runCompiled(builtFile('machine-thread-program.cjs'));
