/** How often a machine is pinged. */
const ASK_MS = 2000;
/** How many pings it may miss if nothing visible holds it up: the host may be busy. */
const MISSES = 3;

export type LivenessEvents = {
  /** Pings the machine. @returns null if there is no machine to ping. A rejection counts as an answer. */
  readonly ask: () => Promise<unknown> | null;
  /** Whether the machine is visibly held up by its host. */
  readonly isHeld: () => boolean;
  /** Whether it is in a phase that may take any time. */
  readonly isBuilding: () => boolean;
  readonly silent: () => void;
  readonly answers: () => void;
};

/** Finds out whether a machine still responds, even while no client uses it. */
export class Liveness {
  readonly #events: LivenessEvents;
  readonly #timer: NodeJS.Timeout;
  #waiting = false;
  #misses = 0;
  /** It was held up at the last check. */
  #wasHeld = false;
  #isSilent = false;

  constructor(events: LivenessEvents, askMs = ASK_MS) {
    this.#events = events;
    this.#timer = setInterval(() => this.#look(), askMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (!this.#waiting) {
      this.#wasHeld = false;
      this.#ask();
      return;
    }
    this.#misses++;
    if (this.#isSilent) return;
    const late = this.#misses >= MISSES && !this.#events.isBuilding();
    // Any process is in uninterruptible sleep now and then: KVM and VFIO wait that way for the CPUs and for a device's
    // reset.
    const isHeld = this.#events.isHeld();
    const staysHeld = isHeld && this.#wasHeld;
    this.#wasHeld = isHeld;
    if (!late && !staysHeld) return;
    this.#isSilent = true;
    this.#events.silent();
  }

  #ask(): void {
    const answer = this.#events.ask();
    if (answer === null) return;
    this.#waiting = true;
    const answered = () => {
      this.#waiting = false;
      this.#misses = 0;
      if (!this.#isSilent) return;
      this.#isSilent = false;
      this.#events.answers();
    };
    answer.then(answered, answered);
  }
}
