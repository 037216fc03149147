import { sentenceList } from '../../text.ts';
import { needsNoIommu } from '../../vfio/no-iommu.ts';
import { isParkingDriver, isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { groupMembers, staysWithHost } from '../survey.ts';
import { block, impossible, ok, type Subject, warn } from './check.ts';

/** Whether an IOMMU isolates the device. */
export function iommuCheck({ survey, fn, driver }: Subject): Check[] {
  if (!isVfioDriver(driver)) return [];
  if (!needsNoIommu(survey.root, fn)) {
    return [ok('iommu', fn.address, `isolated by the IOMMU in group ${fn.iommuGroup}`)];
  }
  const noIommu = survey.root.attribute('/sys/module/vfio/parameters/enable_unsafe_noiommu_mode');
  if (noIommu === 'Y' || noIommu === '1') {
    const reason = 'no IOMMU: VFIO uses its unsafe mode, and a guest can read and write all host memory';
    return [block('iommu', fn.address, reason)];
  }
  const reason =
    survey.groups.size > 0
      ? 'it is in no IOMMU group: the firmware tables omit it, so VFIO refuses it'
      : 'the IOMMU is off or absent: see vring doctor, and enable it for the next boot with vring iommu enable';
  return [impossible('iommu', fn.address, reason)];
}

/** Whether a VM will be able to open the group. */
export function groupCheck({ survey, fn, driver, taken }: Subject): Check[] {
  const group = fn.iommuGroup === null ? undefined : survey.groups.get(fn.iommuGroup);
  if (!group || !isVfioDriver(driver)) return [];
  const checks: Check[] = [];
  const endpoints = groupMembers(survey, fn).filter(member => !staysWithHost(member));
  const staying = endpoints.filter(
    member => !taken.has(member.address) && member.driver !== null && !isParkingDriver(member.driver),
  );
  if (staying.length > 0) {
    const names = sentenceList(staying.map(member => `${member.address} (${member.driver})`));
    const verb = staying.length === 1 ? 'stays' : 'stay';
    checks.push(
      warn(
        'group',
        fn.address,
        `no VM can open group ${group.id} while ${names} ${verb} with the host: bind the whole group (--group)`,
      ),
    );
  }
  if (group.others.length > 0) {
    const names = sentenceList(group.others);
    checks.push(warn('group', fn.address, `group ${group.id} also contains ${names}, not a PCI device`));
  }
  if (group.override) checks.push(warn('group', fn.address, group.override.text));
  if (checks.length > 0) return checks;
  const reason =
    endpoints.length > 1
      ? `no host driver remains in group ${group.id}`
      : `it is the only endpoint of group ${group.id}`;
  return [ok('group', fn.address, reason)];
}
