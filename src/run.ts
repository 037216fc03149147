/**
 * The program that bin/vring starts for `vring run`, bundled as CommonJS: a script's VM should start as soon as
 * possible, and ES modules take longer to load.
 */
import { pathToFileURL } from 'node:url';
import { nameProcess, startsMachineHere } from './commands/machine-here.ts';
import { runCompiled } from './files/compiled-program.ts';
import { builtFile } from './project-root.ts';

const words = process.argv.slice(2);
if (startsMachineHere(words)) {
  nameProcess();
  // Such a machine runs on another thread (src/commands/run-here.ts), and this one calls other functions.
  const hasThread = words.some(word => /^--device-module|vnc/.test(word));
  runCompiled(builtFile('run-here.cjs'), hasThread ? 'thread' : '');
} else {
  void import(pathToFileURL(builtFile('cli.js')).href);
}
