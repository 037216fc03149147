import type { ManagerStatus } from '../../engine/remote/protocol.ts';

/** What was stopped; null if neither a manager nor a VM was running. */
export type Stopped = {
  readonly status: Pick<ManagerStatus, 'pid' | 'unit'>;
  /** Names of the VMs that ran and are now off. */
  readonly vms: readonly string[];
  /** Those of them that were killed. */
  readonly killed: readonly string[];
  /** Names of the VMs that keep running. */
  readonly kept: readonly string[];
} | null;

/**
 * What happens to the VMs: they shut down (`off`), and the next manager starts them again (`resume`); they keep running
 * (`keep`), or as many as possible do: those in an old manager's process are resumed (`replace`).
 */
export type Fate = 'off' | 'resume' | 'keep' | 'replace';

export function keepsVms(fate: Fate): boolean {
  return fate === 'keep' || fate === 'replace';
}
