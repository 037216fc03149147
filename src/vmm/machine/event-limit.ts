import type { MachineEvent } from './messages.ts';

/** How many events may come at once, and how fast that many may come again. */
const BURST = 20;
const ONE_PER_MS = 1000;

/**
 * Keeps a guest from flooding the log: a token bucket. What is dropped is counted, and the count is an event itself, together with
 * the next one that is admitted.
 */
export class EventLimit {
  #tokens = BURST;
  #filledAt = 0;
  #dropped = 0;

  /** @returns what to log for this event: nothing, or it, after the number of those that were dropped before it */
  admit(event: MachineEvent): MachineEvent[] {
    const earned = Math.max(0, Math.floor((event.at - this.#filledAt) / ONE_PER_MS));
    if (earned > 0) {
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      this.#filledAt = event.at;
    }
    if (this.#tokens === 0) {
      this.#dropped++;
      return [];
    }
    this.#tokens--;
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped === 0) return [event];
    const text = `${dropped} more event${dropped === 1 ? ' was' : 's were'} not logged: there were too many`;
    return [{ at: event.at, level: 'warning', text }, event];
  }
}
