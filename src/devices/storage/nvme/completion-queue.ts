import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { booleanOf, DeviceStateError, numberOf, statesOf } from '../../state.ts';
import { COMPLETION_BYTES, MIN_ENTRIES } from './registers.ts';

/** What a driver learns about a command that has completed (NVMe base 1.4 §4.6). */
export type Completion = {
  /** The submission queue, and its head at that time. */
  readonly queue: number;
  readonly head: number;
  readonly command: number;
  /** The status field, without the phase. */
  readonly status: number;
  readonly result: number;
};

/** How a driver has created a queue. */
export type CompletionQueueOptions = {
  readonly id: number;
  /** Guest-physical address. */
  readonly base: number;
  readonly entries: number;
  readonly vector: number;
  readonly hasInterrupts: boolean;
};

const MAX_16 = 2 ** 16 - 1;
const MAX_32 = 2 ** 32 - 1;

/** A completion queue (NVMe base 1.4 §4.1, §4.6). Completions that find no room wait for it. */
export class CompletionQueue {
  readonly options: CompletionQueueOptions;
  #head = 0;
  #tail = 0;
  #phase = true;
  #waiting: Completion[] = [];

  constructor(options: CompletionQueueOptions) {
    this.options = options;
  }

  get id(): number {
    return this.options.id;
  }

  /** Whether there are entries that the driver has not taken. */
  get hasUnread(): boolean {
    return this.#head !== this.#tail;
  }

  /** Completions that are not in the queue yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  put(completion: Completion): void {
    this.#waiting.push(completion);
  }

  /**
   * Writes completions that wait while there is room.
   * @returns how many; null if the queue is not in memory
   */
  write(memory: GuestMemory): number | null {
    const { base, entries } = this.options;
    let written = 0;
    for (; written < this.#waiting.length && !this.#isFull; written++) {
      const { queue, head, command, status, result } = this.#waiting[written]!;
      const at = base + this.#tail * COMPLETION_BYTES;
      if (!memory.contains(at, COMPLETION_BYTES, 'write')) return null;
      memory.writeU32(at, result);
      memory.writeU32(at + 4, 0);
      memory.writeU32(at + 8, ((queue << 16) | head) >>> 0);
      // The phase comes last: it says that the entry is new.
      memory.writeU32(at + 12, ((status << 17) | (this.#phase ? 1 << 16 : 0) | command) >>> 0);
      this.#tail = (this.#tail + 1) % entries;
      if (this.#tail === 0) this.#phase = !this.#phase;
    }
    if (written > 0) this.#waiting.splice(0, written);
    return written;
  }

  /** The driver has taken entries. @returns whether it may have: false for entries that do not exist */
  moveHead(head: number): boolean {
    const { entries } = this.options;
    const used = (this.#tail - this.#head + entries) % entries;
    if (head >= entries || (head - this.#head + entries) % entries > used) return false;
    this.#head = head;
    return true;
  }

  get #isFull(): boolean {
    return (this.#tail + 1) % this.options.entries === this.#head;
  }

  save(): DeviceState {
    return {
      ...this.options,
      head: this.#head,
      tail: this.#tail,
      phase: this.#phase,
      waiting: this.#waiting.map(completion => ({ ...completion })),
    };
  }

  /** @param limits the most entries, vectors and completions that wait. @throws DeviceStateError */
  static load(
    state: DeviceState,
    limits: { readonly entries: number; readonly vectors: number; readonly waiting: number },
  ): CompletionQueue {
    const queue = new CompletionQueue({
      id: numberOf(state, 'id', MAX_16),
      base: numberOf(state, 'base'),
      entries: numberOf(state, 'entries', limits.entries),
      vector: numberOf(state, 'vector', limits.vectors - 1),
      hasInterrupts: booleanOf(state, 'hasInterrupts'),
    });
    const { entries } = queue.options;
    if (entries < MIN_ENTRIES) throw new DeviceStateError('entries', `number of at least ${MIN_ENTRIES}`);
    queue.#head = numberOf(state, 'head', entries - 1);
    queue.#tail = numberOf(state, 'tail', entries - 1);
    queue.#phase = booleanOf(state, 'phase');
    const { waiting } = state;
    const count = Array.isArray(waiting) ? Math.min(waiting.length, limits.waiting) : 0;
    queue.#waiting = statesOf(state, 'waiting', count).map(one => ({
      queue: numberOf(one, 'queue', MAX_16),
      head: numberOf(one, 'head', MAX_16),
      command: numberOf(one, 'command', MAX_16),
      status: numberOf(one, 'status', 2 ** 15 - 1),
      result: numberOf(one, 'result', MAX_32),
    }));
    return queue;
  }
}
