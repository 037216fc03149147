/** The answer to one question about the host. */
export type Finding = {
  /** Stable: `iommu.enabled`. */
  readonly id: string;
  readonly area: 'processor' | 'kvm' | 'iommu' | 'kernel' | 'memory' | 'vfio' | 'software';
  /** `info` says how it is, where no answer is wrong. */
  readonly state: 'ok' | 'warn' | 'fail' | 'info';
  /** What was found: `Intel VT-x with EPT`. */
  readonly title: string;
  readonly why: string;
  /** What to do on this distribution, in order; empty where nothing needs doing. */
  readonly repair: readonly string[];
};

/** A finding that is as it should be needs no repair. */
export function ok(id: string, area: Finding['area'], title: string, why: string): Finding {
  return { id, area, state: 'ok', title, why, repair: [] };
}

export function info(id: string, area: Finding['area'], title: string, why: string): Finding {
  return { id, area, state: 'info', title, why, repair: [] };
}
