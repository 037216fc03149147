/** A machine thread: a worker that waits for its manager's socket, serves one machine over it, and exits. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { announceStarted } from '../../files/program-started.ts';
import { close, setViewGuard } from '../native/libc.ts';
import type { MachineEnd } from './messages.ts';
import { rehearseNative } from './rehearsal.ts';
import { serveMachine } from './serve-machine.ts';
import { mark, markThread } from './start-trace.ts';
import { ThreadGate } from './thread-gate.ts';

const ENDED_EARLY: MachineEnd = { crashed: false, reason: 'it was ended', detail: null, exitCode: null };

markThread('thread');
mark('thread-code');
const port = parentPort as MessagePort;
const gate = new ThreadGate(workerData);
// A dying thread must not block anyone.
process.once('exit', () => gate.open());
setViewGuard(make => gate.runClosed(make));
// While the thread is idle: loads the library, and does its once-per-process work.
rehearseNative();
mark('library');
gate.open();

port.once('message', (socket: number) => {
  if (gate.take()) {
    gate.close();
    serveMachine(socket, {
      withManager: true,
      closeConnection: connection => {
        gate.noteSocketClosed();
        close(connection);
      },
      started: announceStarted,
      afterBuild: () => (gate.open().endRequested ? ENDED_EARLY : null),
    });
  }
  port.close();
});
