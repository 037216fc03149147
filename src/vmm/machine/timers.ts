import type { Cancel } from '../../devices/device.ts';

type Timer = { readonly deadline: bigint; readonly callback: () => void };

/** The timers of one machine, ordered by deadline. A machine has a handful. Times: monotonic nanoseconds. */
export class Timers {
  readonly #timers: Timer[] = [];

  at(deadline: bigint, callback: () => void): Cancel {
    const timer = { deadline, callback };
    const before = this.#timers.findIndex(other => other.deadline > deadline);
    this.#timers.splice(before < 0 ? this.#timers.length : before, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** The first deadline; null without timers. */
  get next(): bigint | null {
    return this.#timers[0]?.deadline ?? null;
  }

  /** Fires the timers that are due, in order. A timer that a callback sets for now may wait for the next call. */
  fire(now: bigint): void {
    for (let left = this.#timers.length; left > 0; left--) {
      const next = this.#timers[0];
      if (next === undefined || next.deadline > now) return;
      this.#timers.shift();
      next.callback();
    }
  }
}
