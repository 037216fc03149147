import type { DeviceState } from '../../device.ts';
import { DeviceStateError, statesOf } from '../../state.ts';
import { CompletionQueue } from './completion-queue.ts';
import { MAX_ENTRIES } from './registers.ts';
import { SubmissionQueue } from './submission-queue.ts';

/** AQA can express this many (NVMe base 1.4 §3.1.8). */
const MAX_ADMIN_ENTRIES = 4096;

/** The queues of a controller, by their identifiers: 0 for the admin queues. */
export class Queues {
  readonly submission = new Map<number, SubmissionQueue>();
  readonly completion = new Map<number, CompletionQueue>();

  clear(): void {
    this.submission.clear();
    this.completion.clear();
  }

  /** Takes over the queues of another. */
  take({ submission, completion }: Queues): void {
    this.clear();
    for (const [id, queue] of submission) this.submission.set(id, queue);
    for (const [id, queue] of completion) this.completion.set(id, queue);
  }

  /** Whether commands complete there. */
  isUsed(completions: CompletionQueue): boolean {
    for (const queue of this.submission.values()) if (queue.completions === completions) return true;
    return false;
  }

  save(): DeviceState {
    return {
      completion: [...this.completion.values()].map(queue => queue.save()),
      submission: [...this.submission.values()].map(queue => queue.save()),
    };
  }

  /** @param limits the most pairs of queues for I/O, vectors and completions that wait. @throws DeviceStateError */
  static load(
    state: DeviceState,
    limits: { readonly queues: number; readonly vectors: number; readonly waiting: number },
  ): Queues {
    const loaded = new Queues();
    const count = (key: string) => {
      const list = state[key];
      return Array.isArray(list) ? Math.min(list.length, limits.queues + 1) : 0;
    };
    const entries = (id: unknown) => (id === 0 ? MAX_ADMIN_ENTRIES : MAX_ENTRIES);
    for (const one of statesOf(state, 'completion', count('completion'))) {
      const queue = CompletionQueue.load(one, { ...limits, entries: entries(one.id) });
      loaded.completion.set(checkedId(queue.id, limits.queues, loaded.completion), queue);
    }
    for (const one of statesOf(state, 'submission', count('submission'))) {
      const queue = SubmissionQueue.load(one, entries(one.id), loaded.completion);
      loaded.submission.set(checkedId(queue.id, limits.queues, loaded.submission), queue);
    }
    return loaded;
  }
}

/** @throws DeviceStateError */
function checkedId(id: number, most: number, others: ReadonlyMap<number, unknown>): number {
  if (id > most || others.has(id)) throw new DeviceStateError('id', 'queue identifier');
  return id;
}
