import type { VectorCount } from '../../host/vfio/interrupt-counts.ts';
import type { CounterBlock } from '../../vmm/counters/counters.ts';
import type { EngineEvent, VmInfo } from '../vm-info.ts';

/**
 * The /proc figures of one vCPU thread that are not in the counters: its CPU time in nanoseconds, and where it last
 * ran.
 */
export type ThreadTimes = {
  readonly guestNs: number;
  readonly userNs: number;
  readonly systemNs: number;
  /** The host CPU's number; null for a thread that has ended. */
  readonly hostCpu: number | null;
  /**
   * The thread's id as this process sees it, which differs from its id in a PID namespace; null for a thread that has
   * ended.
   */
  readonly id: number | null;
};

/** The host's interrupt counts for the host devices of a VM. */
export type HostInterruptCounts = {
  /** The IOMMU may post interrupts to running vCPUs; posted ones are not counted. */
  readonly posted: boolean;
  /** With the devices' names in the VM. */
  readonly vectors: readonly (VectorCount & { readonly device: string })[];
};

/** Access to VMs whose counters can be read in place. */
export interface CounterSource {
  vms(): readonly VmInfo[];
  /** The counters of a VM's present or last run; null before the first. */
  counters(id: string): CounterBlock | null;
  /** By vCPU. */
  threadTimes(id: string): readonly ThreadTimes[];
  /** The host's interrupt counts for a VM's host devices; null if it has none. */
  hostInterrupts?(id: string): HostInterruptCounts | null;
  subscribe(listener: (event: EngineEvent) => void): () => void;
}
