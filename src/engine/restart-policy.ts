/** A VM that crashes more often than this in a row is not restarted. */
const MOST_RESTARTS = 3;
/** A run that lasts this long resets the count. */
const GOOD_RUN_MS = 60_000;

/** Limits restarts after crashes: a VM that crashes right after its start would be restarted forever. */
export class RestartPolicy {
  readonly #crashes = new Map<string, { count: number; last: number }>();

  /** Records a crash at `now`, in milliseconds of a clock that is never set. @returns whether the VM may be restarted */
  allow(name: string, now: number): boolean {
    const before = this.#crashes.get(name);
    const inRow = before !== undefined && now - before.last < GOOD_RUN_MS ? before.count : 0;
    this.#crashes.set(name, { count: inRow + 1, last: now });
    return inRow < MOST_RESTARTS;
  }
}
