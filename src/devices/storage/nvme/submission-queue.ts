import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import type { CompletionQueue } from './completion-queue.ts';
import { MIN_ENTRIES, SUBMISSION_BYTES } from './registers.ts';
import { SubmittedCommand } from './submitted-command.ts';

/** How a driver has created a queue. */
export type SubmissionQueueOptions = {
  readonly id: number;
  /** Guest-physical address. */
  readonly base: number;
  readonly entries: number;
  /** Where its commands complete. */
  readonly completions: CompletionQueue;
};

/** A submission queue (NVMe base 1.4 §4.1). */
export class SubmissionQueue {
  readonly options: SubmissionQueueOptions;
  #head = 0;
  #tail = 0;
  /** Commands that have been taken and have not ended. */
  active = 0;
  /** The driver is deleting it: called when the last of its commands has ended. */
  onIdle: (() => void) | null = null;

  constructor(options: SubmissionQueueOptions) {
    this.options = options;
  }

  get id(): number {
    return this.options.id;
  }

  get completions(): CompletionQueue {
    return this.options.completions;
  }

  get head(): number {
    return this.#head;
  }

  /** Whether there are commands that have not been taken, and may be. */
  get isDue(): boolean {
    return this.#head !== this.#tail && this.onIdle === null;
  }

  /** The driver has added commands. @returns whether it may have: false if there is no room for so many */
  moveTail(tail: number): boolean {
    const { entries } = this.options;
    const used = (this.#tail - this.#head + entries) % entries;
    const added = (tail - this.#tail + entries) % entries;
    if (tail >= entries || used + added >= entries) return false;
    this.#tail = tail;
    return true;
  }

  /** The next command; null if the queue is not in memory. */
  take(memory: GuestMemory): SubmittedCommand | null {
    const at = this.options.base + this.#head * SUBMISSION_BYTES;
    if (!memory.contains(at, SUBMISSION_BYTES, 'read')) return null;
    this.#head = (this.#head + 1) % this.options.entries;
    return new SubmittedCommand(memory.readable(at, SUBMISSION_BYTES).slice());
  }

  save(): DeviceState {
    const { id, base, entries, completions } = this.options;
    return { id, base, entries, completions: completions.id, head: this.#head, tail: this.#tail };
  }

  /** @throws DeviceStateError */
  static load(
    state: DeviceState,
    maxEntries: number,
    completionQueues: ReadonlyMap<number, CompletionQueue>,
  ): SubmissionQueue {
    const completions = completionQueues.get(numberOf(state, 'completions'));
    if (completions === undefined) throw new DeviceStateError('completions', 'completion queue');
    const queue = new SubmissionQueue({
      id: numberOf(state, 'id', 2 ** 16 - 1),
      base: numberOf(state, 'base'),
      entries: numberOf(state, 'entries', maxEntries),
      completions,
    });
    const { entries } = queue.options;
    if (entries < MIN_ENTRIES) throw new DeviceStateError('entries', `number of at least ${MIN_ENTRIES}`);
    queue.#head = numberOf(state, 'head', entries - 1);
    queue.#tail = numberOf(state, 'tail', entries - 1);
    return queue;
  }
}
