import { sentenceList } from '../../text.ts';
import { isParkingDriver, isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { groupMembers, staysWithHost } from '../survey.ts';
import { block, impossible, ok, type Subject, warn } from './check.ts';

/** Is there an IOMMU between the device and memory? */
export function iommuCheck({ survey, fn, driver }: Subject): Check[] {
  if (!isVfioDriver(driver)) return [];
  if (fn.iommuGroup !== null) {
    return [ok('iommu', fn.address, `the IOMMU is on: it is in group ${fn.iommuGroup}`)];
  }
  const noIommu = survey.root.attribute('/sys/module/vfio/parameters/enable_unsafe_noiommu_mode');
  if (noIommu === 'Y' || noIommu === '1') {
    const reason =
      'no IOMMU: vfio takes it in its unsafe mode, and a guest can read and write all memory of this host';
    return [block('iommu', fn.address, reason)];
  }
  const reason =
    survey.groups.size > 0
      ? 'it is in no IOMMU group: the firmware tables leave it out, and vfio refuses it'
      : 'the IOMMU is off or absent: vring doctor says what to set, and vring iommu enable sets it for the next boot';
  return [impossible('iommu', fn.address, reason)];
}

/** Will a VM be able to open the group? */
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
        `no VM can open group ${group.id} while ${names} ${verb} with the host: take the whole group (--group)`,
      ),
    );
  }
  if (group.others.length > 0) {
    const names = sentenceList(group.others);
    checks.push(warn('group', fn.address, `group ${group.id} also has ${names}, on another bus than PCI`));
  }
  if (group.override) checks.push(warn('group', fn.address, group.override.text));
  if (checks.length > 0) return checks;
  const reason =
    endpoints.length > 1
      ? `no driver of the host is left in group ${group.id}`
      : `it is the only endpoint of group ${group.id}`;
  return [ok('group', fn.address, reason)];
}
