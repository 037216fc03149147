export type HeartbeatEvents = {
  /** Asks for a sign of life. A failure is one as well. */
  ping(): Promise<unknown>;
  /** No answer has come for so long; again whenever that time has passed once more. */
  silent(silentMs: number): void;
  /** It answers again, after `silent`. */
  answered(): void;
};

/** Notices when the other end of a connection does not answer, although the connection is there. */
export class Heartbeat {
  readonly #patienceMs: number;
  readonly #events: HeartbeatEvents;
  #timer: NodeJS.Timeout | undefined;

  /** @param patienceMs between two pings, and for how long there may be no answer */
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
      // Stopped, or started anew, since.
      if (this.#timer !== wait) return;
      this.start();
      if (silences > 0) this.#events.answered();
    };
    this.#events.ping().then(answered, answered);
  }
}
