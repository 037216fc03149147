import { Worker } from 'node:worker_threads';
import { ThreadGate } from '../../vmm/machine/thread-gate.ts';
import { machineProgram } from './machine-code.ts';
import type { MachineConnection } from './machine-connection.ts';

/** A thread that loads, or builds a machine, is done by then, or will never be: also on a busy host. */
const GATE_OPENS_MS = 30_000;

/**
 * A worker that serves one machine. It takes 60-90 ms to come online, and is what a command that runs a VM starts first: nothing is imported
 * here that takes its time to load.
 */
export class MachineThread {
  readonly #worker: Worker;
  readonly #gate = new ThreadGate();
  readonly #exited = Promise.withResolvers<Error | null>();

  #connection: MachineConnection | null = null;

  constructor() {
    const workerData = this.#gate.words;
    const path = machineProgram('machine-thread');
    this.#worker = new Worker(path, { name: 'vring-machine', execArgv: [], workerData });
    MachineThread.#live.add(this);
    let failure: Error | null = null;
    this.#worker.on('error', error => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', () => {
      MachineThread.#live.delete(this);
      this.#exited.resolve(failure);
    });
    // A thread that waits for its first machine doesn't keep the process alive.
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

  /** Resolves with what it died of; null: it ended by itself. */
  get exited(): Promise<Error | null> {
    return this.#exited.promise;
  }

  /** Has it serve a machine over a socket, which is then its own. */
  serve(socket: number): void {
    this.#worker.ref();
    this.#worker.postMessage(socket);
  }

  /** @param connection the other end of its socket */
  connected(connection: MachineConnection): void {
    this.#connection = connection;
  }

  /** Takes the machine back from a thread that has not begun with it. @returns false: it has */
  revoke(): boolean {
    return this.#gate.revoke();
  }

  /** Ends it, however it is occupied. */
  async terminate(): Promise<void> {
    // For as long as this takes there is something to wait for.
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

/** The thread that was kept warm, else a new one. */
export function takeThread(): MachineThread {
  // Not a warm one that could not load its libraries: the error is to reach the caller.
  const thread = spare?.alive ? spare : new MachineThread();
  spare = null;
  return thread;
}

/** Ends the thread that is kept warm. */
export async function coolThread(): Promise<void> {
  const thread = spare;
  spare = null;
  await thread?.terminate();
}
