import type { Cancel, Clock } from '../../devices/device.ts';

/**
 * The clock of one machine's devices: nanoseconds since it was built. It never stops. A machine loaded from a saved
 * state continues at the time when that was saved, as do its TSC and its kvmclock, so the times in the states of its
 * devices are times of this clock.
 */
export class MachineClock implements Clock {
  readonly #host: Clock;
  /** The host's monotonic clock when this one was 0. */
  #origin: bigint;

  constructor(host: Clock) {
    this.#host = host;
    this.#origin = host.now();
  }

  now(): bigint {
    return this.#host.now() - this.#origin;
  }

  /** Continues at `now`. Devices must be quiesced: their timers are not moved. */
  set(now: bigint): void {
    this.#origin = this.#host.now() - now;
  }

  /** This clock's time at a time of the host's. */
  fromHost(ns: bigint): bigint {
    return ns - this.#origin;
  }

  toHost(ns: bigint): bigint {
    return ns + this.#origin;
  }

  at(deadline: bigint, callback: () => void): Cancel {
    return this.#host.at(deadline + this.#origin, callback);
  }

  wallMs(): number {
    return this.#host.wallMs();
  }
}
