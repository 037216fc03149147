import { HISTOGRAM_BUCKETS, type Histogram } from './histogram.ts';
import { asOf, type Snapshot } from './snapshot.ts';

type WindowOptions = {
  /** Where totals count from; none: from the VM's start. */
  readonly baseline?: Snapshot | undefined;
  /** An older snapshot for CPU times, which the kernel counts in ticks of 10 ms: too coarse for a short window. */
  readonly cpuBefore?: Snapshot | undefined;
};

/** The stretch of time between two snapshots of a VM, and what its counters did in it. */
export class Window {
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly seconds: number;
  /** Where totals count from; null: from the VM's start. */
  readonly baseline: Snapshot | null;
  readonly #cpuBefore: Snapshot;

  constructor(before: Snapshot, after: Snapshot, { baseline, cpuBefore }: WindowOptions = {}) {
    this.before = asOf(before, after);
    this.after = after;
    this.seconds = (after.at - before.at) / 1000;
    this.baseline = baseline === undefined ? null : asOf(baseline, after);
    this.#cpuBefore = cpuBefore ?? before;
  }

  /** How far the counter at a word offset moved. */
  moved(word: number): number {
    return difference(this.before, this.after, word);
  }

  perSecond(word: number): number {
    return this.moved(word) / this.seconds;
  }

  /** Of a counter of nanoseconds, the share of the window that it counted. */
  share(word: number): number {
    return this.perSecond(word) / 1e9;
  }

  /** What the counter counted since the baseline. */
  total(word: number): number {
    return difference(this.baseline, this.after, word);
  }

  histogram(word: number): Histogram {
    return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => this.moved(word + bucket));
  }

  /** Shares of wall time that a vCPU's thread had a CPU: for the guest, and for itself in user and kernel mode. */
  cpuShares(vcpu: number): { guest: number; user: number; system: number } {
    const then = this.#cpuBefore.threads[vcpu];
    const now = this.after.threads[vcpu];
    const ns = (this.after.at - this.#cpuBefore.at) * 1e6;
    const share = (key: 'guestNs' | 'userNs' | 'systemNs') =>
      Math.max(0, (now?.[key] ?? 0) - (then?.[key] ?? 0)) / ns;
    return { guest: share('guestNs'), user: share('userNs'), system: share('systemNs') };
  }
}

/** A counter that went back was started again from zero. */
function difference(before: Snapshot | null, after: Snapshot, word: number): number {
  const now = after.words[word] ?? 0n;
  const then = before?.words[word] ?? 0n;
  return Number(now >= then ? now - then : now);
}
