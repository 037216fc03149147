import { MachineWorker } from './engine/machine-worker.ts';

/** A machine thread takes longer to come up than the rest of vring takes to load: it is started before that. */
const STARTS_A_MACHINE = new Set(['run', 'demo']);
if (STARTS_A_MACHINE.has(process.argv[2] ?? '')) MachineWorker.warm();

await import('./commands/program.ts');
