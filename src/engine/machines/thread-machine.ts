import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { ThreadGate } from '../../vmm/machine/thread-gate.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import { destroyVmLater, shutDownAllVms, shutDownVmLater } from '../../vmm/native/native.ts';
import type { Death, Launch, Machine, Machines } from './machine.ts';
import { machineProgram } from './machine-code.ts';
import { MachineConnection } from './machine-connection.ts';

/** A thread that loads, or builds a machine, is done by then, or will never be. */
const GATE_OPENS_MS = 30_000;
const EXIT_WAITS_MS = 5000;

/** A worker that serves one machine. It takes 60-90 ms to come online. */
class MachineThread {
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
      for (const thread of MachineThread.#live) thread.#gate.awaitOpened(EXIT_WAITS_MS);
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

  /** Has it serve a machine over a socket, which is then its own. @param connection the other end */
  serve(socket: number, connection: MachineConnection): void {
    this.#connection = connection;
    this.#worker.ref();
    this.#worker.postMessage(socket);
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

/** A machine on a thread of this process. */
class ThreadMachine implements Machine {
  readonly pid = process.pid;
  readonly connection: MachineConnection;
  readonly gone: Promise<Death | null>;
  readonly #thread: MachineThread;
  readonly #theirEnd: number;
  /** Native handle, from the moment the machine thread has made it. */
  #nativeVm: number | null = null;
  #forced = false;

  constructor(thread: MachineThread, { config, countersFd, registration }: Launch) {
    const [ours, theirs] = socketPair();
    this.#thread = thread;
    this.#theirEnd = theirs;
    const token = registration?.token ?? '';
    const build = { kind: 'build', config, token, layers: [], user: null } as const;
    try {
      this.connection = MachineConnection.open(ours, build, [countersFd]);
    } catch (error) {
      for (const fd of [ours, theirs]) closeSync(fd);
      void thread.terminate();
      throw error;
    }
    thread.serve(theirs, this.connection);
    this.gone = this.#whenGone();
  }

  /** Listens to the machine, for its manager. */
  created(vm: number): void {
    this.#nativeVm = vm;
    if (this.#forced) void shutDownVmLater(vm);
  }

  destroy(): void {
    this.#forced = true;
    void this.#force();
  }

  isHeld(): boolean {
    return false;
  }

  whyStuck(): string {
    return this.#forced ? 'its machine thread does not end' : 'its machine thread does not respond';
  }

  async #force(): Promise<void> {
    if (this.#nativeVm !== null) await shutDownVmLater(this.#nativeVm);
    await this.#thread.terminate();
  }

  async #whenGone(): Promise<Death | null> {
    const error = await this.#thread.exited;
    if (this.#nativeVm !== null) await destroyVmLater(this.#nativeVm);
    // A thread that was terminated, or that never came up, has not closed its socket.
    if (!this.#thread.socketClosed) closeSync(this.#theirEnd);
    await this.connection.closed;
    if (error === null) return null;
    return { reason: `the machine thread died: ${error.message}`, detail: error.stack ?? null };
  }
}

class ThreadMachines implements Machines {
  #spare: MachineThread | null = null;

  warm(): void {
    this.#spare ??= new MachineThread();
  }

  launch(launch: Launch): Machine {
    // Not a warm one that could not load its libraries: the error is to reach the caller.
    const thread = this.#spare?.alive ? this.#spare : new MachineThread();
    this.#spare = null;
    return new ThreadMachine(thread, launch);
  }

  async cool(): Promise<void> {
    const spare = this.#spare;
    this.#spare = null;
    await spare?.terminate();
  }

  abandon(): void {
    shutDownAllVms();
  }
}

/** Machines on threads of this process: they end with it. All its engines share the thread that is kept warm. */
export const threadMachines: Machines = new ThreadMachines();
