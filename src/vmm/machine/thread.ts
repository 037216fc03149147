/** A machine thread: a worker that waits for a configuration, runs that machine until it ends, and exits. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { RawDisks } from '../backends/open-disk.ts';
import { nativeCalls } from '../native/native-library.ts';
import type { MachineConfig } from './config.ts';
import type { FromMachine, MachineEnd, ToMachine } from './messages.ts';
import { type MachinePort, MachineRunner } from './runner.ts';
import { ThreadGate } from './thread-gate.ts';

const port = parentPort as MessagePort;
const gate = new ThreadGate(workerData);
// A dying thread must not block anyone.
process.once('exit', () => gate.open());
// Loaded now, while the thread is idle.
nativeCalls();
gate.open();

port.once('message', (message: ToMachine) => {
  if (message.kind !== 'build')
    throw new Error(`a machine thread expects "build" first, not "${message.kind}"`);
  const end = runMachine(message);
  port.postMessage({ kind: 'ended', end } satisfies FromMachine);
  port.close();
});

const ENDED_EARLY: MachineEnd = { crashed: false, reason: 'it was ended', detail: null, exitCode: null };

/** Runs a machine, across resets, until it ends for good. */
function runMachine({ config, counters }: Extract<ToMachine, { kind: 'build' }>): MachineEnd {
  const rawDisks: RawDisks = new Set();
  for (let runs = 0; ; runs++) {
    gate.close();
    const toMain: MachinePort = {
      post: message => port.postMessage(message),
      next: () => receiveMessageOnPort(port)?.message ?? null,
    };
    const runner = new MachineRunner(counters, toMain, rawDisks);
    try {
      const failure = tryBuild(runner, config);
      if (gate.open().endRequested) return ENDED_EARLY;
      // Nothing that could crash has run yet on the first boot.
      if (failure !== null) return { ...failure, crashed: runs > 0, exitCode: null };
      const end = runner.run();
      if (end.kind === 'ended') return end.end;
    } finally {
      runner.close();
    }
  }
}

/** A machine that can't be built is for the user to fix; it is not a failure of this thread. */
function tryBuild(
  runner: MachineRunner,
  config: MachineConfig,
): Pick<MachineEnd, 'reason' | 'detail'> | null {
  try {
    runner.build(config);
    return null;
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const detail = error instanceof TypeError ? (stack ?? null) : null;
    return { reason: message, detail };
  }
}
