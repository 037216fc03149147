import type { Cancel, Clock } from './device.ts';

/**
 * Work on a guest's ring or list, which may be of any length, in batches: the machine thread serves others in between.
 */
export class BatchedWork {
  readonly #clock: Clock;
  readonly #work: () => boolean;
  #cancel: Cancel | null = null;
  #isRunning = true;
  #isBusy = false;

  /** @param work does one batch. @returns whether more is left */
  constructor(clock: Clock, work: () => boolean) {
    this.#clock = clock;
    this.#work = work;
  }

  /** Does a batch now, unless one is under way: it may cause the driver, which is the caller here, to ask for more. */
  run(): void {
    if (this.#isBusy || !this.#isRunning || this.#cancel !== null) return;
    this.#isBusy = true;
    try {
      if (this.#work()) this.#runLater();
    } finally {
      this.#isBusy = false;
    }
  }

  /** Forgets the work that is left. */
  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  quiesce(): void {
    this.#isRunning = false;
    this.cancel();
  }

  resume(): void {
    this.#isRunning = true;
    this.run();
  }

  #runLater(): void {
    this.#cancel = this.#clock.at(this.#clock.now(), () => {
      this.#cancel = null;
      this.run();
    });
  }
}
