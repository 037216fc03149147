/** A guest that exceeds this is considered broken. */
const LIMIT = { count: 10, withinMs: 60_000 } as const;

/**
 * Resets by triple faults. On a PC a triple fault resets the processor, and kernels reboot by one when all else has
 * failed; a guest that does nothing else is stopped, so that it can be examined.
 */
export class TripleFaults {
  readonly #now: () => number;
  #times: number[] = [];

  /** @param now in milliseconds, from any origin */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Records one more. @returns whether it may reset the machine */
  mayReset(): boolean {
    const now = this.#now();
    this.#times = [...this.#times.filter(time => now - time < LIMIT.withinMs), now];
    return this.#times.length <= LIMIT.count;
  }
}
