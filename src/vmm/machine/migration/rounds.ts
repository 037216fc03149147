/**
 * When a migration stops the machine. Memory is sent in rounds while the guest runs: first all of it, then what the
 * guest has written in the meantime, until the rest can be sent in the time for which the guest may stand still.
 */

export type RoundLimits = {
  /** How long the guest may stand still, in milliseconds. */
  readonly maxDowntimeMs: number;
};

/** A round that has been sent. Bytes; seconds. */
export type Round = {
  readonly sent: number;
  readonly seconds: number;
  /** What was written in the meantime, and has to be sent again. */
  readonly dirtied: number;
};

export type Forecast = {
  readonly bytesPerSecond: number;
  /** How fast the guest writes to memory that it had not written to before in the round. */
  readonly dirtyBytesPerSecond: number;
  /** How long the guest would stand still if it were stopped now. */
  readonly downtimeMs: number;
};

/** Saving, sending and loading the state of vCPUs and devices, besides memory. */
const STATE_MS = 60;
/** A round of less says little about the speed of the connection. */
const TELLING_BYTES = 2 ** 20;
/** Rounds in a row in which nothing was gained after which the guest is said to be too fast. */
export const FUTILE_ROUNDS = 3;

/** Follows the rounds of a migration. */
export class Rounds {
  readonly #limits: RoundLimits;
  #speed = 0;
  #least = Number.POSITIVE_INFINITY;
  #futile = 0;
  #forecast: Forecast | null = null;

  constructor(limits: RoundLimits) {
    this.#limits = limits;
  }

  /** Null before the first round is over. */
  get forecast(): Forecast | null {
    return this.#forecast;
  }

  /** Whether the guest writes memory faster than the connection carries it. */
  get isFutile(): boolean {
    return this.#futile >= FUTILE_ROUNDS;
  }

  /** @returns whether the machine should be stopped now */
  over({ sent, seconds, dirtied }: Round): boolean {
    const time = Math.max(seconds, 1e-6);
    if (this.#speed === 0 || sent >= TELLING_BYTES) this.#speed = Math.max(sent, 1) / time;
    const downtimeMs = (dirtied / this.#speed) * 1000 + STATE_MS;
    this.#forecast = {
      bytesPerSecond: this.#speed,
      dirtyBytesPerSecond: dirtied / time,
      downtimeMs,
    };
    this.#futile = dirtied < this.#least * 0.9 ? 0 : this.#futile + 1;
    this.#least = Math.min(this.#least, dirtied);
    return downtimeMs <= this.#limits.maxDowntimeMs || dirtied === 0;
  }
}
