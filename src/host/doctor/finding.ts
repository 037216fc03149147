/** The answer to one question about the host. */
export type Finding = {
  /** Stable: `iommu.enabled`. */
  readonly id: string;
  readonly area: 'processor' | 'kvm' | 'iommu' | 'kernel' | 'memory' | 'vfio' | 'software';
  /** `info`: a fact, neither good nor bad. */
  readonly state: 'ok' | 'warn' | 'fail' | 'info';
  /** What was found: `Intel VT-x with EPT`. */
  readonly title: string;
  readonly why: string;
  /** How to fix it on this distribution, in order; empty if nothing needs fixing. */
  readonly repair: readonly string[];
};

/** A finding with nothing to fix. */
export function ok(id: string, area: Finding['area'], title: string, why: string): Finding {
  return { id, area, state: 'ok', title, why, repair: [] };
}

export function info(id: string, area: Finding['area'], title: string, why: string): Finding {
  return { id, area, state: 'info', title, why, repair: [] };
}
