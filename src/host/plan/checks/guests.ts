import type { PciFunction } from '../../pci/function.ts';
import { pendingText, readPendingWrites } from '../../pending-writes.ts';
import { sentenceList } from '../../text.ts';
import type { DeviceUser, DeviceUsers } from '../../use/device-users.ts';
import { type Holder, holderAndUser } from '../../use/holders.ts';
import { useSummary } from '../../use/use.ts';
import type { Check } from '../plan.ts';
import { groupMembers, type HostSurvey, hostUse, virtualFunctionsOf, vmHolders } from '../survey.ts';
import { block, impossible, ok, type Subject, warn } from './check.ts';

/** A driver that lets go of a physical function ends its virtual ones. */
export function virtualFunctionCheck({ survey, fn, users }: Subject): Check[] {
  const vfs = virtualFunctionsOf(survey, fn);
  if (vfs.length === 0) return [];
  return destroyedVfChecks(survey, fn, vfs, `its ${vfs.length} VFs would go with its driver`, users);
}

/** VFs of one physical function that a plan ends; one that a VM has open makes that hang in the kernel. */
export function destroyedVfChecks(
  survey: HostSurvey,
  fn: PciFunction,
  vfs: readonly PciFunction[],
  what: string,
  users: DeviceUsers,
): Check[] {
  const held = vfs.flatMap(vf => {
    const holders = vmHolders(survey, vf);
    return holders.length > 0 ? [`${vf.address} is open in ${holderList(holders)}`] : [];
  });
  if (held.length > 0) {
    const reason = `${what}, but ${sentenceList(held)}: stop this VM first`;
    return [impossible('sriov', fn.address, reason), ...unseenHolders(survey, fn)];
  }
  const open = vfs.flatMap(vf => (users.byAddress.get(vf.address) ?? []).map(user => ({ vf, user })));
  if (open.length > 0) {
    const texts = open.map(({ vf, user }) => `${vf.address} is ${openIn([user])}`);
    const reason = `${what}, but ${shortList(texts)}: stop that first`;
    return [block('sriov', fn.address, reason), ...unseenHolders(survey, fn)];
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

/** Does a VM have the function open, or another one of its group? */
export function vmCheck({ survey, fn }: Pick<Subject, 'survey' | 'fn'>): Check | null {
  const holders = vmHolders(survey, fn);
  if (holders.length === 0) return null;
  const alone = groupMembers(survey, fn).length === 1;
  const what = alone ? 'it' : `its group ${fn.iommuGroup}`;
  return impossible('held', fn.address, `${holderList(holders)} has ${what} open: stop this VM first`);
}

/** Does a VM have it open, or does a process use it through its device files? */
export function heldCheck(subject: Subject): Check[] {
  const { survey, fn } = subject;
  const pending = pendingCheck(subject);
  if (pending !== null) return [pending];
  const inVm = vmCheck(subject);
  const found = inVm === null ? userChecks(subject) : [inVm];
  if (found.length > 0) return found;
  return [...unseenHolders(survey, fn), ok('held', fn.address, 'no process has it open')].slice(0, 1);
}

/** A write that the kernel has not answered holds the lock of the function: the next one would hang behind it. */
export function pendingCheck({ survey, fn }: Pick<Subject, 'survey' | 'fn'>): Check | null {
  const concerned = [fn.address, fn.physicalFunction, ...fn.virtualFunctions];
  const write = readPendingWrites(survey.root).find(each => concerned.includes(each.address));
  if (write === undefined) return null;
  const reason = `${pendingText(write)}, and the kernel has not answered: end what uses ${write.address}, or restart the host`;
  return impossible('pending', fn.address, reason);
}

/** Drivers whose unbind never returns while a device file is open, so that --force could only hang. */
const waitForever: ReadonlySet<string | null> = new Set(['nvidia']);

function userChecks({ survey, fn, users }: Subject): Check[] {
  const found = users.byAddress.get(fn.address) ?? [];
  if (found.length === 0) return [];
  const alone = survey.functions.filter(other => other.driver === fn.driver).length === 1;
  const sure = found.filter(user => alone || !user.shared);
  if (sure.length === 0) {
    const reason = `${openIn(found)}: ${pathList(found)} may lead to another device of ${fn.driver}, or to this one`;
    return [warn('held', fn.address, reason)];
  }
  if (waitForever.has(fn.driver)) {
    const reason = `${openIn(sure)}: the ${fn.driver} driver does not let go while ${pathList(sure)} is in use; stop that first`;
    return [impossible('held', fn.address, reason)];
  }
  const reason = `${openIn(sure)}: ${fn.driver ?? 'its driver'} may wait without end while ${pathList(sure)} is in use; stop that first`;
  return [block('held', fn.address, reason)];
}

const SHOWN = 4;

/** `open in python3 (pid 5555) of user alice`. */
function openIn(users: readonly DeviceUser[]): string {
  return `open in ${shortList(users.map(({ holder }) => holderAndUser(holder)))}`;
}

function pathList(users: readonly DeviceUser[]): string {
  return shortList([...new Set(users.flatMap(user => user.paths))]);
}

function shortList(words: readonly string[]): string {
  if (words.length <= SHOWN) return sentenceList(words);
  return sentenceList([...words.slice(0, SHOWN), `${words.length - SHOWN} more`]);
}

function unseenHolders(survey: HostSurvey, fn: PciFunction): Check[] {
  if (survey.vfio.holdersComplete) return [];
  // Not even root sees what a process has open that made itself undumpable, or that a security module guards.
  const isRoot = survey.root.live && process.geteuid?.() === 0;
  const reason = isRoot
    ? 'not known whether a process has it open that not even root may look into'
    : 'not known whether a process of another user has it open: run as root';
  return [warn('held', fn.address, reason)];
}

function holderList(holders: readonly Holder[]): string {
  return sentenceList(holders.map(holderAndUser));
}
