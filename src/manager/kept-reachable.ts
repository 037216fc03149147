import type { LocalEngine } from '../engine/local-engine.ts';
import type { ControlServer } from '../engine/remote/server.ts';
import type { ManagerPaths } from './paths.ts';

/**
 * Keeps the manager reachable for its clients, and its machines for later managers: a user's runtime folder is removed
 * with the last session, and /tmp is cleaned up, while the manager stays.
 */
export class KeptReachable {
  readonly #server: Pick<ControlServer, 'reachable' | 'stopListening'>;
  readonly #engine: Pick<LocalEngine, 'note' | 'renewPlaces'>;
  readonly #socket: string;
  readonly #listen: () => Promise<void>;
  /** What fails, each with its reason: it is logged once, not at each check. */
  readonly #failing = new Map<string | null, string>();
  #isChecking = false;

  constructor(
    server: Pick<ControlServer, 'reachable' | 'stopListening'>,
    engine: Pick<LocalEngine, 'note' | 'renewPlaces'>,
    { socket }: Pick<ManagerPaths, 'socket'>,
    listen: () => Promise<void>,
  ) {
    this.#server = server;
    this.#engine = engine;
    this.#socket = socket;
    this.#listen = listen;
  }

  /** Does nothing while an earlier check is going on. */
  async check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      await this.#keepSocket();
      const failed = new Set<string>();
      await this.#engine.renewPlaces((vm, reason) => {
        failed.add(vm);
        this.#note(
          vm,
          `its files in the runtime folder were removed, so no later manager will find it: ${reason}; shut it down and start it again`,
        );
      });
      for (const vm of this.#failing.keys()) if (vm !== null && !failed.has(vm)) this.#failing.delete(vm);
    } finally {
      this.#isChecking = false;
    }
  }

  async #keepSocket(): Promise<void> {
    if (this.#server.reachable) return;
    try {
      this.#server.stopListening();
      await this.#listen();
      this.#failing.delete(null);
      this.#engine.note('warning', `the socket ${this.#socket} was removed; it has been created again`);
    } catch (error) {
      const { message } = error as Error;
      this.#note(null, `the socket ${this.#socket} was removed, and cannot be created again: ${message}`);
    }
  }

  #note(vm: string | null, text: string): void {
    if (this.#failing.get(vm) === text) return;
    this.#failing.set(vm, text);
    this.#engine.note('error', text, vm);
  }
}
