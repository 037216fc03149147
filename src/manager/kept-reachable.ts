import type { LocalEngine } from '../engine/local-engine.ts';
import type { ControlServer } from '../engine/remote/server.ts';
import type { Ownership } from './vm-lock.ts';

type KeptParts = {
  readonly server: Pick<ControlServer, 'reachable' | 'stopListening'>;
  readonly engine: Pick<LocalEngine, 'note' | 'renewPlaces'>;
  readonly ownership: Pick<Ownership, 'renew'>;
  /** The path of the server's socket. */
  readonly socket: string;
  /** Creates the socket again. */
  readonly listen: () => Promise<void>;
};

/**
 * Keeps the manager reachable for its clients, and its machines for later managers: a user's runtime folder is removed
 * with the last session, and /tmp is cleaned up, while the manager stays.
 */
export class KeptReachable {
  readonly #parts: KeptParts;
  /** What fails, each with its reason: it is logged once, not at each check. */
  readonly #failing = new Map<string | null, string>();
  #isChecking = false;

  constructor(parts: KeptParts) {
    this.#parts = parts;
  }

  /** Does nothing while an earlier check is in progress. */
  async check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      await this.#keepSocket();
      const failed = new Set<string>();
      await this.#parts.engine.renewPlaces((vm, reason) => {
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
    const { server, ownership, listen, engine, socket } = this.#parts;
    try {
      ownership.renew();
      if (!server.reachable) {
        server.stopListening();
        await listen();
        engine.note('warning', `the socket ${socket} was removed; it has been created again`);
      }
      this.#failing.delete(null);
    } catch (error) {
      const { message } = error as Error;
      this.#note(
        null,
        `the socket ${socket} or the locks of this manager were removed, and cannot be created again: ${message}`,
      );
    }
  }

  #note(vm: string | null, text: string): void {
    if (this.#failing.get(vm) === text) return;
    this.#failing.set(vm, text);
    this.#parts.engine.note('error', text, vm);
  }
}
