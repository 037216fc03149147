import { managerPaths } from '../paths.ts';
import { type MachineRecord, readRecords } from './machine-record.ts';

/** What to do about VMs that run without a manager, in a sentence. */
export const HOW_TO_MANAGE =
  'vring, vring manager restart, or the service (systemctl start vring) starts a manager that takes them over';

/** The VMs that run without a manager, by name. Call it only when no manager runs. */
export function unmanagedVms(): readonly MachineRecord[] {
  return readRecords(managerPaths().machines, () => {})
    .map(({ record }) => record)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
