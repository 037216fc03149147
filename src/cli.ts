import { pathToFileURL } from 'node:url';
import { onTerminal } from './commands/on-terminal.ts';
import { builtFile, bundled } from './project-root.ts';

// Node would open its debugger on this signal, through which any user of this host could run code in this process. The
// launchers say --disable-sigusr1 as well, which leaves no moment before this line.
process.on('SIGUSR1', () => {});

// What ps, and who finds its locks, call it: not the Node that runs it.
process.title = ['vring', ...process.argv.slice(2)].join(' ');

/** A machine thread takes longer to come up than the rest of vring takes to load: it is started before that. */
const STARTS_A_MACHINE = new Set(['run', 'demo']);
/** The machine will be another process's, or there will be none. */
const STARTS_NONE = new Set(['--detach', '--ui', '--help', '-h']);
const [, , command = '', ...words] = process.argv;
const here = words.some(word => word === '--foreground' || word === '--in-process');
const managersMachine = onTerminal() && !here;
const startsMachine =
  STARTS_A_MACHINE.has(command) && !managersMachine && !words.some(word => STARTS_NONE.has(word));
if (startsMachine) {
  const { warmThread } = await import('./engine/machines/machine-thread.ts');
  warmThread();
}

if (startsMachine && command === 'run' && bundled) {
  await import(pathToFileURL(builtFile('run-here.js')).href);
} else {
  const [{ runProgram }, { buildProgram }] = await Promise.all([
    import('./commands/run-program.ts'),
    import('./commands/program.ts'),
  ]);
  await runProgram(buildProgram, process.argv);
}
