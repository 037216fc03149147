import { readFileSync } from 'node:fs';
import { CgroupParent, NoCgroups } from '../../vmm/confinement/cgroup-parent.ts';
import type { Unit } from '../unit.ts';

/**
 * The parent of the machines' cgroups. A unit's cgroup is divided only if systemd has put the manager into the subgroup
 * that its file names (DelegateSubgroup= in systemd.resource-control(5)): systemd before 254 does not, and could not
 * restart the unit while machines remain in other parts of it, since a divided cgroup takes no processes (cgroups(7),
 * "no internal processes").
 * @param unit the systemd unit that runs this process
 * @throws NoCgroups
 */
export function cgroupsUnder(
  unit: Unit | null,
  cgroup = readFileSync('/proc/self/cgroup', 'latin1'),
): CgroupParent {
  if (unit === null || /^0::.*\/manager$/m.test(cgroup)) return CgroupParent.prepare();
  throw new NoCgroups(
    `systemd could not restart ${unit.name} with its cgroup divided: that requires systemd 254, and DelegateSubgroup=manager in the unit`,
  );
}
