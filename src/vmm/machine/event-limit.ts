import type { MachineEvent } from './messages.ts';

export type EventRate = {
  /** How many events may come in one burst. */
  readonly burst: number;
  /** The time until one more may come, in milliseconds. */
  readonly everyMs: number;
};

/** Limit for events that a guest can cause. */
const GUEST_RATE: EventRate = { burst: 20, everyMs: 1000 };

/**
 * Keeps a guest from flooding the log: a token bucket. Dropped events are counted, and the count is logged as an event
 * before the next one that is admitted.
 */
export class EventLimit {
  readonly #rate: EventRate;
  #tokens: number;
  #filledAt = 0;
  #dropped = 0;

  constructor(rate = GUEST_RATE) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /**
   * @param now milliseconds that never go back
   * @returns what to log for this event: nothing, or the event, preceded by the number of those dropped before it
   */
  admit(event: MachineEvent, now = performance.now()): MachineEvent[] {
    const { burst, everyMs } = this.#rate;
    const earned = Math.floor((now - this.#filledAt) / everyMs);
    if (earned > 0) {
      this.#tokens = Math.min(burst, this.#tokens + earned);
      this.#filledAt = now;
    }
    if (this.#tokens === 0) {
      this.#dropped++;
      return [];
    }
    this.#tokens--;
    return [...this.rest(event.at), event];
  }

  /** The number of events dropped since the last one that was admitted, as an event. */
  rest(at: number): MachineEvent[] {
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped === 0) return [];
    const text = `${dropped} more event${dropped === 1 ? ' was' : 's were'} not logged: there were too many`;
    return [{ at, level: 'warning', text }];
  }
}
