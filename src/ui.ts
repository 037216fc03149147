/**
 * What bin/vring starts for `vring` without a command, bundled for CommonJS as src/run.ts is. A manager takes as long to come up as the UI takes to
 * load: where there is none, it is started before that, and the rest finds it in this file's exports (scripts/bundle.mjs).
 */
import { pathToFileURL } from 'node:url';
import { nameProcess } from './commands/machine-here.ts';
import { onTerminalAtStart } from './commands/on-terminal.ts';
import { opensUi } from './commands/opens-ui.ts';
import { runCompiled } from './files/compiled-program.ts';
import { startFirstManager } from './manager/start-manager.ts';
import { builtFile } from './project-root.ts';

export * from './manager/start-manager.ts';

if (opensUi(process.argv.slice(2)) && onTerminalAtStart()) {
  nameProcess();
  startFirstManager();
  runCompiled(builtFile('ui-program.cjs'));
} else {
  void import(pathToFileURL(builtFile('cli.js')).href);
}
