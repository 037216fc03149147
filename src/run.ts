/**
 * The program that bin/vring starts for `vring run`, bundled as CommonJS: a script's VM should start as soon as
 * possible, and ES modules take longer to load.
 */
import { pathToFileURL } from 'node:url';
import { nameProcess, startsMachineHere } from './commands/machine-here.ts';
import { runCompiled } from './files/compiled-program.ts';
import { builtFile } from './project-root.ts';

if (startsMachineHere(process.argv.slice(2))) {
  nameProcess();
  runCompiled(builtFile('run-here.cjs'));
} else {
  void import(pathToFileURL(builtFile('cli.js')).href);
}
