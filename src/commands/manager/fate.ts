import type { ManagerStatus } from '../../engine/remote/protocol.ts';

/** What was stopped; null if no manager was running, and no VM either. */
export type Stopped = {
  readonly status: Pick<ManagerStatus, 'pid' | 'unit'>;
  /** Names of the VMs that ran and are off now. */
  readonly vms: readonly string[];
  /** Those among them that were killed. */
  readonly killed: readonly string[];
  /** Names of the VMs that keep running. */
  readonly kept: readonly string[];
} | null;

/**
 * What becomes of the VMs: they shut down (`off`), and the next manager starts them again (`resume`); they keep running (`keep`), or as
 * much as they can: those that are part of an old manager's process are resumed (`replace`).
 */
export type Fate = 'off' | 'resume' | 'keep' | 'replace';

export function keepsVms(fate: Fate): boolean {
  return fate === 'keep' || fate === 'replace';
}
