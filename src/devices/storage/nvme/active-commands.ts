import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf, statesOf } from '../../state.ts';
import { SUBMISSION_BYTES } from './registers.ts';
import type { Complete } from './status.ts';
import type { SubmissionQueue } from './submission-queue.ts';
import { SubmittedCommand } from './submitted-command.ts';

/**
 * Commands in progress, at most: the others stay in the driver's queues. Admin commands have a limit of their own, so
 * that a driver can delete a queue whose commands do not end.
 */
const MAX_IO = 128;
const MAX_ADMIN = 128;
export const MAX_ACTIVE = MAX_IO + MAX_ADMIN;

export type Active = { readonly queue: SubmissionQueue; readonly command: SubmittedCommand };

export type ActiveHost = {
  readonly execute: (active: Active, complete: Complete) => void;
  readonly ended: (active: Active, status: number, result: number) => void;
};

/** The commands of a controller that have been taken from their queues and have not ended. */
export class ActiveCommands {
  readonly #host: ActiveHost;
  readonly #active = new Map<Active, Complete>();
  /** Commands that must be carried out again after a load. */
  #again: Active[] = [];
  #admin = 0;

  constructor(host: ActiveHost) {
    this.#host = host;
  }

  /** Forgets all commands: those that are still carried out end unheard. */
  clear(): void {
    this.#active.clear();
    this.#again = [];
    this.#admin = 0;
  }

  /** Whether a command of this queue may begin. */
  hasRoom({ id }: SubmissionQueue): boolean {
    return id === 0 ? this.#admin < MAX_ADMIN : this.#active.size - this.#admin < MAX_IO;
  }

  begin(active: Active): void {
    const { queue } = active;
    const complete: Complete = (status, result = 0) => {
      if (!this.#active.delete(active)) return;
      queue.active--;
      if (queue.id === 0) this.#admin--;
      this.#host.ended(active, status, result);
    };
    this.#active.set(active, complete);
    queue.active++;
    if (queue.id === 0) this.#admin++;
    this.#host.execute(active, complete);
  }

  /** Ends the I/O commands for a namespace, which is gone. */
  endOf(namespace: number, status: number): void {
    for (const [{ queue, command }, complete] of [...this.#active])
      if (queue.id !== 0 && command.namespace === namespace) complete(status);
  }

  /** Carries out again what a load has found. */
  resume(): void {
    for (const active of this.#again.splice(0)) this.begin(active);
  }

  save(): DeviceState[] {
    return [...this.#active.keys(), ...this.#again].map(({ queue, command }) => ({
      queue: queue.id,
      command: command.bytes,
    }));
  }

  /** @param queues by their identifiers. @returns takes the checked state over. @throws DeviceStateError */
  load(state: DeviceState, key: string, queues: ReadonlyMap<number, SubmissionQueue>): () => void {
    const list = state[key];
    const count = Array.isArray(list) ? Math.min(list.length, MAX_ACTIVE) : 0;
    const again = statesOf(state, key, count).map((one): Active => {
      const queue = queues.get(numberOf(one, 'queue'));
      const bytes = bytesOf(one, 'command');
      if (queue === undefined) throw new DeviceStateError('queue', 'queue');
      if (bytes.length !== SUBMISSION_BYTES) throw new DeviceStateError('command', 'command');
      return { queue, command: new SubmittedCommand(bytes.slice()) };
    });
    return () => {
      this.clear();
      this.#again = again;
    };
  }
}
