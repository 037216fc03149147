/**
 * A program that confines itself like a machine's process, and then tries what a subverted one would. It prints a line
 * of JSON per attempt.
 */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { confineSelf, type OwnConfinement } from '../../../src/vmm/confinement/confine-self.ts';
import type { Layer } from '../../../src/vmm/confinement/layer.ts';
import { type Attempt, attempt, type Targets } from './attempts.ts';
import { syscall } from './raw-syscall.ts';

/** Its argument, as JSON. */
export type ProbePlan = {
  /** Null to stay unconfined. */
  readonly confinement: OwnConfinement | null;
  readonly thread: 'main' | 'worker';
  readonly attempts: readonly Attempt[];
  readonly targets: Omit<Targets, 'openSocket'>;
};

/** A line of its output. */
export type ProbeLine =
  | { readonly layers: readonly Layer[] }
  | { readonly attempt: Attempt; readonly result: number };

const say = (line: ProbeLine) => writeSync(1, `${JSON.stringify(line)}\n`);

function tryAll({ attempts, targets }: ProbePlan, openSocket: number): void {
  for (const name of attempts) say({ attempt: name, result: attempt(name, { ...targets, openSocket }) });
}

if (isMainThread) {
  const plan: ProbePlan = JSON.parse(process.argv[2]!);
  const openSocket = syscall('socket', 2, 1, 0);
  const worker = new Worker(import.meta.filename, { workerData: { plan, openSocket } });
  worker.once('message', () => {
    const { confinement, thread } = plan;
    const layers = confinement === null ? [] : confineSelf(confinement);
    say({ layers });
    if (thread === 'main') tryAll(plan, openSocket);
    worker.postMessage(thread);
  });
} else {
  const { plan, openSocket } = workerData;
  parentPort!.once('message', thread => {
    if (thread === 'worker') tryAll(plan, openSocket);
    parentPort!.close();
  });
  parentPort!.postMessage('ready');
}
