import { closeSync } from 'node:fs';
import { version } from '../../project-root.ts';
import { servingMachine } from '../../vmm/machine/serve-machine.ts';
import type { Turns } from '../../vmm/machine/turns.ts';
import { shutDownAllVms } from '../../vmm/native/end-vms.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import { NodeLoop } from '../../vmm/native/node-loop.ts';
import { buildMessage } from './build-message.ts';
import type { Death, Launch, Machine, Machines } from './machine.ts';
import { MachineConnection } from './machine-connection.ts';

/**
 * A machine on this thread: it gives Node's event loop a turn whenever that has something to do. It starts sooner than
 * one on a thread of its own, as there is no thread to start.
 */
class MainThreadMachine implements Machine {
  readonly pid = process.pid;
  readonly version = version();
  readonly connection: MachineConnection;
  readonly gone: Promise<Death | null>;
  readonly #theirEnd: number;
  readonly #node = new NodeLoop();
  readonly #turns: Turns<void>;
  readonly #over = Promise.withResolvers<Death | null>();
  #next: NodeJS.Immediate;
  #hasBegun = false;

  constructor(launch: Launch) {
    const [ours, theirs] = socketPair();
    const { message, fds } = buildMessage(launch);
    try {
      this.connection = MachineConnection.open(ours, message, fds, { isTrusted: true });
    } catch (error) {
      for (const fd of [ours, theirs]) closeSync(fd);
      throw error;
    }
    this.#theirEnd = theirs;
    this.#turns = servingMachine(theirs, { node: this.#node });
    this.#next = this.#node.afterTurn(this.#turn);
    this.gone = this.#whenGone();
  }

  /** Its caller is in a turn of the event loop, so the machine is between two turns of its own. */
  destroy(): void {
    this.#node.cancel(this.#next);
    if (!this.#hasBegun) closeSync(this.#theirEnd);
    this.#hasBegun = true;
    this.#end(() => this.#turns.return());
  }

  isHeld(): boolean {
    return false;
  }

  whyStuck(): string {
    return 'its machine does not respond';
  }

  readonly #turn = (): void => {
    this.#hasBegun = true;
    this.#end(() => this.#turns.next());
  };

  /** Goes on, and learns whether that was its end. */
  #end(goOn: () => IteratorResult<undefined, void>): void {
    try {
      if (goOn().done) this.#over.resolve(null);
      else this.#next = this.#node.afterTurn(this.#turn);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#over.resolve({ reason: `the machine died: ${error.message}`, detail: error.stack ?? null });
    }
  }

  async #whenGone(): Promise<Death | null> {
    const death = await this.#over.promise;
    await this.connection.closed;
    return death;
  }
}

class MainThreadMachines implements Machines {
  launch(launch: Launch): Machine {
    return new MainThreadMachine(launch);
  }

  /** There is nothing to prepare. */
  warm(): void {}

  async cool(): Promise<void> {}

  abandon(): void {
    shutDownAllVms();
  }
}

/**
 * Machines on the calling thread, for a process that has one VM and little else to do. Code of users' device modules, which
 * may never return, belongs on a thread of its own.
 */
export const mainThreadMachines: Machines = new MainThreadMachines();
