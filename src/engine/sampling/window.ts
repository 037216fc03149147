import { HISTOGRAM_BUCKETS, type Histogram } from './histogram.ts';
import { asOf, type Snapshot } from './snapshot.ts';

type WindowOptions = {
  /** The baseline of totals; default: the VM's start. */
  readonly baseline?: Snapshot | undefined;
  /** An older snapshot for CPU times, which the kernel counts in ticks of 10 ms: too coarse for a short window. */
  readonly cpuBefore?: Snapshot | undefined;
};

/** The interval between two snapshots of a VM, and how its counters moved in it. */
export class Window {
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly seconds: number;
  /** The baseline of totals; null for the VM's start. */
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

  /** A nanosecond counter's movement as a share of the window. */
  share(word: number): number {
    return this.perSecond(word) / 1e9;
  }

  /** The counter's movement since the baseline. */
  total(word: number): number {
    return difference(this.baseline, this.after, word);
  }

  histogram(word: number): Histogram {
    return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => this.moved(word + bucket));
  }

  /** Shares of wall time for which a vCPU's thread ran: in the guest, and on its own in user and kernel mode. */
  cpuShares(vcpu: number): { guest: number; user: number; system: number } {
    const then = this.#cpuBefore.threads[vcpu];
    const now = this.after.threads[vcpu];
    const ns = (this.after.at - this.#cpuBefore.at) * 1e6;
    const share = (key: 'guestNs' | 'userNs' | 'systemNs') =>
      Math.max(0, (now?.[key] ?? 0) - (then?.[key] ?? 0)) / ns;
    return { guest: share('guestNs'), user: share('userNs'), system: share('systemNs') };
  }
}

/** A counter that went back was restarted from zero. */
function difference(before: Snapshot | null, after: Snapshot, word: number): number {
  const now = after.words[word] ?? 0n;
  const then = before?.words[word] ?? 0n;
  return Number(now >= then ? now - then : now);
}
