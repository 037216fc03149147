/** How often a machine is asked for an answer. */
const ASK_MS = 2000;
/** How many times it may fail to answer, if nothing visible holds it up: the host may be busy. */
const MISSES = 3;

export type LivenessEvents = {
  /** Asks for an answer. @returns null: there is nobody to ask. It may be rejected, which is an answer too. */
  readonly ask: () => Promise<unknown> | null;
  /** Is the machine visibly held up by its host? */
  readonly isHeld: () => boolean;
  /** Is it at something that may take any time? */
  readonly isBuilding: () => boolean;
  readonly silent: () => void;
  readonly answers: () => void;
};

/** Finds out whether a machine still responds, also when nobody wants anything of it. */
export class Liveness {
  readonly #events: LivenessEvents;
  readonly #timer: NodeJS.Timeout;
  #waiting = false;
  #misses = 0;
  /** It was held up at the last look. */
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
    // Every process is in uninterruptible sleep now and then: KVM and VFIO wait so for the CPUs and for a device's reset.
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
