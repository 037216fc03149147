import { Worker } from 'node:worker_threads';
import { ThreadGate } from '../../vmm/machine/thread-gate.ts';
import { machineProgram } from './machine-code.ts';
import type { MachineConnection } from './machine-connection.ts';

/** How long a thread may take to load or to build a machine, even on a busy host. */
const GATE_OPENS_MS = 30_000;

/**
 * A worker that serves one machine. It takes 60-90 ms to come online, and is the first thing that a command that runs a
 * VM starts: import nothing slow here.
 */
export class MachineThread {
  readonly #worker: Worker;
  readonly #gate = new ThreadGate();
  readonly #exited = Promise.withResolvers<Error | null>();

  #connection: MachineConnection | null = null;

  constructor() {
    const workerData = this.#gate.words;
    const path = machineProgram('machine-thread');
    this.#worker = new Worker(path, {
      ...{ name: 'vring-machine', execArgv: [], workerData },
      // The machine closes its fds natively. Node would close those numbers again as the thread exits, when they are
      // another's.
      trackUnmanagedFds: false,
    });
    MachineThread.#live.add(this);
    let failure: Error | null = null;
    this.#worker.on('error', error => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', () => {
      MachineThread.#live.delete(this);
      this.#exited.resolve(failure);
    });
    // An idle thread doesn't keep the process alive.
    this.#worker.unref();
  }

  static readonly #live = new Set<MachineThread>();
  static {
    // Node terminates every thread when the process exits.
    process.on('exit', () => {
      for (const thread of MachineThread.#live) {
        thread.#gate.requestEnd();
        // It may be waiting for a message.
        thread.#connection?.close();
      }
      for (const thread of MachineThread.#live) thread.#gate.awaitOpened(GATE_OPENS_MS);
    });
  }

  get alive(): boolean {
    return MachineThread.#live.has(this);
  }

  get socketClosed(): boolean {
    return this.#gate.socketClosed;
  }

  /** Resolves with how it died; null if it ended on its own. */
  get exited(): Promise<Error | null> {
    return this.#exited.promise;
  }

  /** Has it serve a machine over a socket; the thread takes ownership. */
  serve(socket: number): void {
    this.#worker.ref();
    this.#worker.postMessage(socket);
  }

  /** @param connection the manager's end of the socket */
  connected(connection: MachineConnection): void {
    this.#connection = connection;
  }

  /** Takes the machine back from a thread that has not begun building it. @returns false if it has */
  revoke(): boolean {
    return this.#gate.revoke();
  }

  /** Ends it, whatever it is doing. */
  async terminate(): Promise<void> {
    // Keep the process alive until this is done.
    this.#worker.ref();
    this.#gate.requestEnd();
    await Promise.race([this.#exited.promise, this.#gate.opened(GATE_OPENS_MS)]);
    await this.#worker.terminate();
  }
}

let spare: MachineThread | null = null;

/** Starts a thread for the next machine. */
export function warmThread(): void {
  spare ??= new MachineThread();
}

/** The warm thread, else a new one. */
export function takeThread(): MachineThread {
  // A warm thread that could not load its libraries is not used: the error must reach the caller.
  const thread = spare?.alive ? spare : new MachineThread();
  spare = null;
  return thread;
}

/** Ends the warm thread. */
export async function coolThread(): Promise<void> {
  const thread = spare;
  spare = null;
  await thread?.terminate();
}
