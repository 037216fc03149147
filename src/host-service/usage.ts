import type { Stall } from '../host/load.ts';
import type { HostRoot } from '../host/root.ts';
import { type CpuTicks, type HostVitals, readHostVitals } from '../host/vitals.ts';

/** A host's vitals, and rates since the previous sample. */
export type HostUsage = {
  readonly vitals: HostVitals;
  /** Share of time that each CPU was busy. */
  readonly cpus: readonly number[];
  /** The same for all CPUs together. */
  readonly cpu: number;
  /** Share of time in which some tasks waited for a resource; resources that the kernel does not measure are missing. */
  readonly waits: Readonly<Partial<Record<Stall['resource'], number>>>;
};

/** Samples a host's usage, each sample relative to the previous one. */
export class UsageReader {
  readonly #root: HostRoot;
  readonly #stateFolder: string;
  #before: { readonly at: number; readonly vitals: HostVitals } | null = null;

  constructor(root: HostRoot, stateFolder: string) {
    this.#root = root;
    this.#stateFolder = stateFolder;
  }

  /** @param at milliseconds of a monotonic clock. @returns null for the first sample, which has nothing to compare with */
  read(at: number): HostUsage | null {
    const vitals = readHostVitals(this.#root, this.#stateFolder);
    const before = this.#before;
    this.#before = { at, vitals };
    return before === null ? null : usageBetween(before.vitals, vitals, (at - before.at) / 1000);
  }
}

/** @param seconds between the two */
export function usageBetween(before: HostVitals, vitals: HostVitals, seconds: number): HostUsage {
  const cpus = vitals.cpuTicks.map((ticks, index) => busyShare(before.cpuTicks[index], ticks));
  const some = (of: HostVitals, resource: Stall['resource']) =>
    of.stalled.find(stall => stall.resource === resource && stall.tasks === 'some')?.seconds;
  const waits = vitals.stalled
    .filter(({ tasks }) => tasks === 'some')
    .map(({ resource, seconds: now }) => [resource, share(now - (some(before, resource) ?? now), seconds)]);
  return {
    vitals,
    cpus,
    cpu: cpus.length === 0 ? 0 : cpus.reduce((sum, one) => sum + one, 0) / cpus.length,
    waits: Object.fromEntries(waits),
  };
}

function busyShare(before: CpuTicks | undefined, now: CpuTicks): number {
  return before === undefined ? 0 : share(now.busy - before.busy, now.all - before.all);
}

function share(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.max(0, Math.min(1, part / whole));
}
