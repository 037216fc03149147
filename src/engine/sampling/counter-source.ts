import type { VectorCount } from '../../host/vfio/interrupt-counts.ts';
import type { CounterBlock } from '../../vmm/counters/counters.ts';
import type { EngineEvent, VmInfo } from '../vm-info.ts';

/** What /proc has of one vCPU thread, and the counters do not: its CPU time in nanoseconds, and where it ran last. */
export type ThreadTimes = {
  readonly guestNs: number;
  readonly userNs: number;
  readonly systemNs: number;
  /** Number of the host CPU; null for a thread that has ended. */
  readonly hostCpu: number | null;
  /** The thread's id as this process sees it, which in a PID namespace is another one; null for a thread that has ended. */
  readonly id: number | null;
};

/** What the host has counted of the interrupts of a VM's devices of the host. */
export type HostInterruptCounts = {
  /** The IOMMU may post interrupts to running vCPUs: those are not among the counts. */
  readonly posted: boolean;
  /** With the names of the devices in the VM. */
  readonly vectors: readonly (VectorCount & { readonly device: string })[];
};

/** Where the VMs run, and their counters can be read in place. */
export interface CounterSource {
  vms(): readonly VmInfo[];
  /** The counters of a VM's present run, or its last; null before the first. */
  counters(id: string): CounterBlock | null;
  /** By vCPU. */
  threadTimes(id: string): readonly ThreadTimes[];
  /** What the host counts of the interrupts of its devices that a VM has; null: it has none. */
  hostInterrupts?(id: string): HostInterruptCounts | null;
  subscribe(listener: (event: EngineEvent) => void): () => void;
}
