import type { VectorCount } from '../../host/vfio/interrupt-counts.ts';
import type { HostInterruptCounts } from './counter-source.ts';
import type { Window } from './window.ts';

/** One interrupt vector of a host device. */
export type HostInterruptRate = {
  /** The device's name in the VM. */
  readonly device: string;
  readonly address: string;
  readonly kind: VectorCount['kind'];
  readonly vector: number;
  /** Since the baseline. */
  readonly total: number;
  readonly perSecond: number;
};

export type HostInterrupts = {
  /**
   * The IOMMU may post interrupts to running vCPUs: the host then handles and counts only those for vCPUs that do not
   * run, and a count may stand still under load.
   */
  readonly posted: boolean;
  readonly vectors: readonly HostInterruptRate[];
};

/** Null for a VM without host devices. */
export function hostInterrupts({ before, after, baseline, seconds }: Window): HostInterrupts | null {
  if (after.interrupts === null) return null;
  const { posted, vectors } = after.interrupts;
  return {
    posted,
    vectors: vectors.map(now => {
      const { device, address, kind, vector } = now;
      const since = (counts: HostInterruptCounts | null) => {
        const then = counts?.vectors.find(
          each => each.address === address && each.kind === kind && each.vector === vector,
        );
        // A count that went back belongs to a vector that was set up again.
        return then === undefined || then.count > now.count ? now.count : now.count - then.count;
      };
      // A vector that has just been set up has no rate yet.
      const moved = before.interrupts === null ? 0 : since(before.interrupts);
      return {
        device,
        address,
        kind,
        vector,
        total: since(baseline?.interrupts ?? null),
        perSecond: moved / seconds,
      };
    }),
  };
}
