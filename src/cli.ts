import { createRequire } from 'node:module';
import { nameProcess, startsMachineHere } from './commands/machine-here.ts';
import { builtFile, bundled } from './project-root.ts';

nameProcess();

const words = process.argv.slice(2);
const startsMachine = startsMachineHere(words);
if (bundled && words[0] === 'serve') {
  createRequire(import.meta.url)(builtFile('serve.cjs'));
} else if (bundled && startsMachine && words[0] === 'run') {
  createRequire(import.meta.url)(builtFile('run.cjs'));
} else {
  if (startsMachine && words[0] === 'demo') {
    // Start the machine thread first: it takes longer to come up than the rest of vring takes to load.
    const { warmThread } = await import('./engine/machines/machine-thread.ts');
    warmThread();
  }
  const [{ runProgram }, { buildProgram }] = await Promise.all([
    import('./commands/run-program.ts'),
    import('./commands/program.ts'),
  ]);
  await runProgram(buildProgram, process.argv);
}
