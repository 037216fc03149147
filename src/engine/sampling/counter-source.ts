import type { EngineEvent, VmInfo } from '../engine.ts';

/** CPU time of one vCPU thread, from /proc, in nanoseconds: what the counters can't tell. */
export type ThreadTimes = { readonly guestNs: number; readonly userNs: number; readonly systemNs: number };

/** Where the VMs run, and their counters can be read in place. */
export interface CounterSource {
  vms(): readonly VmInfo[];
  /** The VM's counters (see vmm/counters.ts); null before the machine has been built. */
  counters(id: string): BigUint64Array | null;
  /** By vCPU. */
  threadTimes(id: string): readonly ThreadTimes[];
  subscribe(listener: (event: EngineEvent) => void): () => void;
}
