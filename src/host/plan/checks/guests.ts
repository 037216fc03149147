import type { PciFunction } from '../../pci/function.ts';
import { sentenceList } from '../../text.ts';
import { useSummary } from '../../use/use.ts';
import { type Holder, holderText } from '../../vfio/holders.ts';
import type { Check } from '../plan.ts';
import { groupMembers, type HostSurvey, hostUse, virtualFunctionsOf, vmHolders } from '../survey.ts';
import { block, impossible, ok, type Subject, warn } from './check.ts';

/** A driver that lets go of a physical function ends its virtual ones. */
export function virtualFunctionCheck({ survey, fn }: Subject): Check[] {
  const vfs = virtualFunctionsOf(survey, fn);
  if (vfs.length === 0) return [];
  return destroyedVfChecks(survey, fn, vfs, `its ${vfs.length} VFs would go with its driver`);
}

/** VFs of one physical function that a plan ends; one that a VM has open makes that hang in the kernel. */
export function destroyedVfChecks(
  survey: HostSurvey,
  fn: PciFunction,
  vfs: readonly PciFunction[],
  what: string,
): Check[] {
  const held = vfs.flatMap(vf => {
    const holders = vmHolders(survey, vf);
    return holders.length > 0 ? [`${vf.address} is open in ${holderList(holders)}`] : [];
  });
  if (held.length > 0) {
    const reason = `${what}, but ${sentenceList(held)}: stop this VM first`;
    return [impossible('sriov', fn.address, reason), ...unseenHolders(survey, fn)];
  }
  const used = vfs.flatMap(vf => {
    const summary = useSummary(hostUse(survey, vf));
    return vf.driver === null && summary === '' ? [] : [`${vf.address} (${summary || vf.driver})`];
  });
  const inUse = vfs.some(vf => hasRoles(survey, vf));
  if (inUse) return [block('sriov', fn.address, `${what}, and the host uses ${sentenceList(used)}`)];
  const detail = used.length > 0 ? `: ${sentenceList(used)}` : '';
  return [warn('sriov', fn.address, `${what}${detail}`), ...unseenHolders(survey, fn)];
}

/** An interface with nothing but a name is no use; one with an address or a role is. */
function hasRoles(survey: HostSurvey, vf: PciFunction): boolean {
  const use = hostUse(survey, vf);
  return (
    use.hiddenInterface ||
    use.interfaces.some(each => each.roles.length > 0) ||
    use.disks.some(disk => disk.roles.some(role => role.active))
  );
}

/** Is the function, or another one of its group, in a VM now? */
export function heldCheck({ survey, fn }: Subject): Check[] {
  const holders = vmHolders(survey, fn);
  if (holders.length > 0) {
    const alone = groupMembers(survey, fn).length === 1;
    const what = alone ? 'it' : `its group ${fn.iommuGroup}`;
    const reason = `${holderList(holders)} has ${what} open: stop this VM first`;
    return [impossible('held', fn.address, reason)];
  }
  return [...unseenHolders(survey, fn), ok('held', fn.address, 'no VM has it open')].slice(0, 1);
}

function unseenHolders(survey: HostSurvey, fn: PciFunction): Check[] {
  if (survey.vfio.holdersComplete) return [];
  return [
    warn('held', fn.address, 'whether a VM of another user has it open is not to be seen: run as root'),
  ];
}

function holderList(holders: readonly Holder[]): string {
  return sentenceList(holders.map(holderText));
}
