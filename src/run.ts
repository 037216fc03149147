/**
 * The program that bin/vring starts for `vring run`, bundled as CommonJS: a script's VM should start as soon as
 * possible, and ES modules take longer to load. It starts a machine thread first and loads the rest in the meantime,
 * which finds the thread in this file's exports (scripts/bundle.mjs).
 */
import { pathToFileURL } from 'node:url';
import { nameProcess, startsMachineHere } from './commands/machine-here.ts';
import { warmThread } from './engine/machines/machine-thread.ts';
import { runCompiled } from './files/compiled-program.ts';
import { builtFile } from './project-root.ts';

export * from './engine/machines/machine-thread.ts';

if (startsMachineHere(process.argv.slice(2))) {
  nameProcess();
  warmThread();
  runCompiled(builtFile('run-here.cjs'));
} else {
  void import(pathToFileURL(builtFile('cli.js')).href);
}
