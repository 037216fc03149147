import type { Stall } from '../host/load.ts';
import type { HostRoot } from '../host/root.ts';
import { type CpuTicks, type HostVitals, readHostVitals } from '../host/vitals.ts';

/** A host's vitals, and what they say when they are compared with those before. */
export type HostUsage = {
  readonly vitals: HostVitals;
  /** Share of the time that each CPU was in use. */
  readonly cpus: readonly number[];
  /** The same of all of them together. */
  readonly cpu: number;
  /** Share of the time in which some tasks waited for a resource; a resource that isn't measured is missing. */
  readonly waits: Readonly<Partial<Record<Stall['resource'], number>>>;
};

/** Reads a host's usage: each reading is compared with the one before. */
export class UsageReader {
  readonly #root: HostRoot;
  readonly #stateFolder: string;
  #before: { readonly at: number; readonly vitals: HostVitals } | null = null;

  constructor(root: HostRoot, stateFolder: string) {
    this.#root = root;
    this.#stateFolder = stateFolder;
  }

  /** @param at milliseconds on a clock that never goes back. @returns null the first time: there is nothing to compare with */
  read(at: number): HostUsage | null {
    const vitals = readHostVitals(this.#root, this.#stateFolder);
    const before = this.#before;
    this.#before = { at, vitals };
    return before === null ? null : usageBetween(before.vitals, vitals, (at - before.at) / 1000);
  }
}

/** @param seconds from one to the other */
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
