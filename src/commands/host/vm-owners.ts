import fs from 'node:fs';
import type { HostRoot } from '../../host/root.ts';
import { printError } from '../../text/output.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import type { Column } from './table.ts';

/** A VM that has a function, or takes it at its next start, as commands print it. */
export type ListedOwner = {
  readonly name: string;
  readonly running: boolean;
  /** Its name in the VM. */
  readonly device: string;
  readonly keep: boolean;
  readonly before: string | null;
  readonly noIommu?: true;
};

/** Do not hold up the list for the names of the VMs. */
const PATIENCE_MS = 5000;

/** For a host without VMs. */
export const NO_OWNERS: DeviceOwners = new Map();

/**
 * The VMs that functions belong to, as the manager knows them; none without a manager, which is not started, or on a
 * recording.
 */
export async function readOwners(root: HostRoot): Promise<DeviceOwners> {
  if (!root.live) return NO_OWNERS;
  const { managerPaths } = await import('../../manager/paths.ts');
  if (!fs.existsSync(managerPaths().socket)) return NO_OWNERS;
  const [{ connect }, { deviceOwners }] = await Promise.all([
    import('../../manager/connect.ts'),
    import('../../view/device-owners.ts'),
  ]);
  try {
    const engine = await connect({ readOnly: true, patienceMs: PATIENCE_MS });
    if (engine === null) return NO_OWNERS;
    try {
      return deviceOwners(engine.vms());
    } finally {
      await engine.close();
    }
  } catch (error) {
    // The host can be shown without them.
    printError(`vring: the VMs that have functions are not shown: ${(error as Error).message}`);
    return NO_OWNERS;
  }
}

/** The owners of one function, for a JSON document. */
export function listedOwners(owners: DeviceOwners, address: string): ListedOwner[] {
  return (owners.get(address) ?? []).map(({ vm, has, device, keep, before, noIommu }) => ({
    name: vm,
    running: has,
    device,
    keep,
    before,
    ...(noIommu && { noIommu }),
  }));
}

/** The column with their names; none if no function belongs to a VM. */
export function ownerColumn<Row>(
  rows: readonly Row[],
  vms: (row: Row) => readonly ListedOwner[],
): Column<Row>[] {
  if (rows.every(row => vms(row).length === 0)) return [];
  return [{ title: 'VM', text: row => ownerNames(vms(row)), least: 8 }];
}

/** `web`; `db (off)` if it takes the function at its next start. */
export function ownerNames(owners: readonly ListedOwner[]): string {
  return owners
    .map(({ name, running, noIommu }) => `${noIommu ? 'UNSAFE ' : ''}${name}${running ? '' : ' (off)'}`)
    .join(', ');
}
