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

  /** What is larger than what is left is taken from the future. */
  take(tokens: number, now: number): void {
    this.#emptyAt = Math.max(this.#emptyAt, now - this.#fullNs) + (tokens / this.#rate) * SECOND;
  }
}

/** What limits a port in one direction, as `native/src/limiter.rs` does queues. */
export class PortRate {
  readonly #packets: Bucket | null;
  readonly #bytes: Bucket | null;

  constructor({ pps, bps, 'pps-burst': ppsBurst, 'bps-burst': bpsBurst }: NetRate, now: number) {
    this.#packets = pps === undefined ? null : new Bucket(pps, ppsBurst, now);
    this.#bytes = bps === undefined ? null : new Bucket(bps, bpsBurst, now);
  }

  /** For how many nanoseconds no frame may pass. */
  wait(now: number): number {
    return Math.max(this.#packets?.wait(now) ?? 0, this.#bytes?.wait(now) ?? 0);
  }

  /** A frame passes. */
  take(bytes: number, now: number): void {
    this.#packets?.take(1, now);
    this.#bytes?.take(bytes, now);
  }
}
