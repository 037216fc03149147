import type { NetRate } from '../../../devices/backends/net-limits.ts';

const SECOND = 1e9;
/** The burst of a rate without one: what it allows in this many nanoseconds. */
const DEFAULT_BURST_NS = SECOND / 10;

/** A token bucket, kept as the time at which it was empty: since then it has filled at its rate. Times: nanoseconds. */
class Bucket {
  readonly #rate: number;
  readonly #fullNs: number;
  #emptyAt: number;

  constructor(rate: number, burst: number | undefined, now: number) {
    this.#rate = rate;
    this.#fullNs = burst === undefined ? DEFAULT_BURST_NS : (burst / rate) * SECOND;
    this.#emptyAt = now - this.#fullNs;
  }

  wait(now: number): number {
    return Math.max(0, this.#emptyAt - now);
  }

  /** Takes tokens; if the bucket has too few, the rest is borrowed from the future. */
  take(tokens: number, now: number): void {
    this.#emptyAt = Math.max(this.#emptyAt, now - this.#fullNs) + (tokens / this.#rate) * SECOND;
  }
}

/** Limits a port in one direction, as `native/src/limiter.rs` does for queues. */
export class PortRate {
  readonly #packets: Bucket | null;
  readonly #bytes: Bucket | null;

  constructor({ pps, bps, 'pps-burst': ppsBurst, 'bps-burst': bpsBurst }: NetRate, now: number) {
    this.#packets = pps === undefined ? null : new Bucket(pps, ppsBurst, now);
    this.#bytes = bps === undefined ? null : new Bucket(bps, bpsBurst, now);
  }

  /** Nanoseconds until a frame may pass. */
  wait(now: number): number {
    return Math.max(this.#packets?.wait(now) ?? 0, this.#bytes?.wait(now) ?? 0);
  }

  /** Accounts for a frame that passes. */
  take(bytes: number, now: number): void {
    this.#packets?.take(1, now);
    this.#bytes?.take(bytes, now);
  }
}
