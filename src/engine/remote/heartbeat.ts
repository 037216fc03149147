export type HeartbeatEvents = {
  /** Pings the peer. A failure counts as an answer. */
  ping(): Promise<unknown>;
  /** No answer has come for this long; called again each time the same period passes. */
  silent(silentMs: number): void;
  /** It answers again, after `silent`. */
  answered(): void;
};

/** Notices when the other end of an open connection does not answer. */
export class Heartbeat {
  readonly #patienceMs: number;
  readonly #events: HeartbeatEvents;
  #timer: NodeJS.Timeout | undefined;

  /** @param patienceMs the interval between pings, and how long an answer may take */
  constructor(patienceMs: number, events: HeartbeatEvents) {
    this.#patienceMs = patienceMs;
    this.#events = events;
  }

  start(): void {
    this.stop();
    this.#timer = setTimeout(() => this.#ask(), this.#patienceMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #ask(): void {
    const asked = performance.now();
    let silences = 0;
    const wait = setInterval(() => {
      silences++;
      this.#events.silent(performance.now() - asked);
    }, this.#patienceMs).unref();
    this.#timer = wait;
    const answered = () => {
      // Stopped or restarted since.
      if (this.#timer !== wait) return;
      this.start();
      if (silences > 0) this.#events.answered();
    };
    this.#events.ping().then(answered, answered);
  }
}
