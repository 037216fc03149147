import { Worker } from 'node:worker_threads';
import type { FromMachine, ToMachine } from '../vmm/machine/messages.ts';
import { ThreadGate } from '../vmm/machine/thread-gate.ts';
import { machineEntry } from './machine-code.ts';

/** A thread that loads, or builds a machine, is done by then, or will never be. */
const GATE_OPENS_MS = 30_000;
const EXIT_WAITS_MS = 5000;

/** A machine thread from outside. It takes 60-90 ms to come online, so one is started ahead (`MachineWorker.warm`). */
export class MachineWorker {
  readonly #worker: Worker;
  readonly #gate = new ThreadGate();
  readonly #gone = Promise.withResolvers<void>();
  onMessage: (message: FromMachine) => void = () => {};
  /** The thread died of an exception, or exited: with the error, or null after a normal end. */
  onExit: (error: Error | null) => void = () => {};

  constructor() {
    const workerData = this.#gate.words;
    const { path, argv } = machineEntry();
    this.#worker = new Worker(path, { name: 'vring-machine', execArgv: [], argv: [...argv], workerData });
    MachineWorker.#live.add(this);
    let failure: Error | null = null;
    this.#worker.on('message', message => this.onMessage(message));
    this.#worker.on('error', error => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', () => {
      MachineWorker.#live.delete(this);
      this.#gone.resolve();
      this.onExit(failure);
    });
    // A thread that waits for its first machine doesn't keep the process alive.
    this.#worker.unref();
  }

  static readonly #live = new Set<MachineWorker>();
  static {
    // Node terminates every thread when the process exits.
    process.on('exit', () => {
      for (const worker of MachineWorker.#live) worker.#gate.requestEnd();
      for (const worker of MachineWorker.#live) worker.#gate.awaitOpened(EXIT_WAITS_MS);
    });
  }

  static #spare: MachineWorker | null = null;

  /** Starts a thread for the next `take`. */
  static warm(): void {
    MachineWorker.#spare ??= new MachineWorker();
  }

  /** The warm thread, or a new one; a new one too if the warm one could not load its libraries, so that the error reaches the caller. */
  static take(): MachineWorker {
    const spare = MachineWorker.#spare;
    const worker = spare?.alive ? spare : new MachineWorker();
    MachineWorker.#spare = null;
    worker.#worker.ref();
    return worker;
  }

  /** Ends the warm thread, if there is one. */
  static async cool(): Promise<void> {
    const spare = MachineWorker.#spare;
    MachineWorker.#spare = null;
    await spare?.terminate();
  }

  get alive(): boolean {
    return MachineWorker.#live.has(this);
  }

  post(message: ToMachine): void {
    this.#worker.postMessage(message);
  }

  /** Ends it, however it is occupied. */
  async terminate(): Promise<void> {
    // For as long as this takes there is something to wait for.
    this.#worker.ref();
    this.#gate.requestEnd();
    await Promise.race([this.#gone.promise, this.#gate.opened(GATE_OPENS_MS)]);
    await this.#worker.terminate();
  }
}
