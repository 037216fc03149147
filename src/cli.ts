/** A machine thread takes longer to come up than the rest of vring takes to load: it is started before that. */
const STARTS_A_MACHINE = new Set(['run', 'demo']);
if (STARTS_A_MACHINE.has(process.argv[2] ?? '')) {
  const { MachineWorker } = await import('./engine/machine-worker.ts');
  MachineWorker.warm();
}

const { runProgram } = await import('./commands/run-program.ts');
await runProgram(process.argv);
