/** A VM that crashes more often than this in a row is not started any more. */
const MOST_RESTARTS = 3;
/** A run that lasts this long was a good one. */
const GOOD_RUN_MS = 60_000;

/** How often VMs that crash are started again: one that crashes right after its start would be started for ever. */
export class RestartPolicy {
  readonly #crashes = new Map<string, { count: number; last: number }>();

  /** Notes a crash at `now`, in milliseconds. @returns whether the VM may be started again */
  allow(name: string, now: number): boolean {
    const before = this.#crashes.get(name);
    const inRow = before !== undefined && now - before.last < GOOD_RUN_MS ? before.count : 0;
    this.#crashes.set(name, { count: inRow + 1, last: now });
    return inRow < MOST_RESTARTS;
  }
}
