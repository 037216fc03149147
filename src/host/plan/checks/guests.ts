import type { PciFunction } from '../../pci/function.ts';
import { pendingText, readPendingWrites } from '../../pending-writes.ts';
import { sentenceList } from '../../text.ts';
import type { DeviceUser, DeviceUsers } from '../../use/device-users.ts';
import { type Holder, holderAndUser } from '../../use/holders.ts';
import { useSummary } from '../../use/use.ts';
import type { Check } from '../plan.ts';
import { groupMembers, type HostSurvey, hostUse, virtualFunctionsOf, vmHolders } from '../survey.ts';
import { block, impossible, ok, type Subject, warn } from './check.ts';

/** Unbinding a physical function's driver removes its VFs. */
export function virtualFunctionCheck({ survey, fn, users }: Subject): Check[] {
  const vfs = virtualFunctionsOf(survey, fn);
  if (vfs.length === 0) return [];
  return destroyedVfChecks(survey, fn, vfs, `unbinding removes its ${vfs.length} VFs`, users);
}

/** VFs that a plan removes; one that a VM has open makes the removal hang in the kernel. */
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
    const reason = `${what}, but ${shortList(texts)}: stop ${open.length === 1 ? 'this process' : 'these processes'} first`;
    return [block('sriov', fn.address, reason), ...unseenHolders(survey, fn)];
  }
  const used = vfs.flatMap(vf => {
    const summary = useSummary(hostUse(survey, vf));
    return vf.driver === null && summary === '' ? [] : [`${vf.address} (${summary || vf.driver})`];
  });
  const inUse = vfs.some(vf => hasRoles(survey, vf));
  if (inUse) return [block('sriov', fn.address, `${what}, but the host uses ${shortList(used)}`)];
  const detail = used.length > 0 ? `: ${shortList(used)}` : '';
  return [warn('sriov', fn.address, `${what}${detail}`), ...unseenHolders(survey, fn)];
}

/** An interface counts as in use if it has an address or a role. */
function hasRoles(survey: HostSurvey, vf: PciFunction): boolean {
  const use = hostUse(survey, vf);
  return (
    use.hiddenInterface ||
    use.interfaces.some(each => each.roles.length > 0) ||
    use.disks.some(disk => disk.roles.some(role => role.active))
  );
}

/** Whether a VM has the function or another one of its group open. */
export function vmCheck({ survey, fn }: Pick<Subject, 'survey' | 'fn'>): Check | null {
  const holders = vmHolders(survey, fn);
  if (holders.length === 0) return null;
  const alone = groupMembers(survey, fn).length === 1;
  const what = alone ? 'it' : `its group ${fn.iommuGroup}`;
  const [have, these] = holders.length === 1 ? ['has', 'this VM'] : ['have', 'these VMs'];
  return impossible('held', fn.address, `${holderList(holders)} ${have} ${what} open: stop ${these} first`);
}

/** Whether a VM or a process has it open. */
export function heldCheck(subject: Subject): Check[] {
  const { survey, fn } = subject;
  const pending = pendingCheck(subject);
  if (pending !== null) return [pending];
  const inVm = vmCheck(subject);
  const found = inVm === null ? userChecks(subject) : [inVm];
  if (found.length > 0) return found;
  return [...unseenHolders(survey, fn), ok('held', fn.address, 'not open in any process')].slice(0, 1);
}

/** A pending write holds the function's device lock: the next one would hang behind it. */
export function pendingCheck({ survey, fn }: Pick<Subject, 'survey' | 'fn'>): Check | null {
  const concerned = [fn.address, fn.physicalFunction, ...fn.virtualFunctions];
  const write = readPendingWrites(survey.root).find(each => concerned.includes(each.address));
  if (write === undefined) return null;
  const reason = `${pendingText(write)}, and the kernel has not completed it: stop the processes that use ${write.address}, or reboot`;
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
    const reason = `${openIn(found)}: ${pathList(found)} may be another device of ${fn.driver}, or this one`;
    return [warn('held', fn.address, reason)];
  }
  if (waitForever.has(fn.driver)) {
    const reason = `${openIn(sure)}: the ${fn.driver} driver cannot unbind while ${inUse(sure)}; stop ${processes(sure)} first`;
    return [impossible('held', fn.address, reason)];
  }
  const reason = `${openIn(sure)}: ${fn.driver ?? 'its driver'} may hang while ${inUse(sure)}; stop ${processes(sure)} first`;
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

/** `/dev/nvidia0 and /dev/nvidiactl are in use`. */
function inUse(users: readonly DeviceUser[]): string {
  const paths = new Set(users.flatMap(user => user.paths));
  return `${pathList(users)} ${paths.size === 1 ? 'is' : 'are'} in use`;
}

function processes(users: readonly DeviceUser[]): string {
  return users.length === 1 ? 'the process' : 'the processes';
}

function shortList(words: readonly string[]): string {
  if (words.length <= SHOWN) return sentenceList(words);
  return sentenceList([...words.slice(0, SHOWN), `${words.length - SHOWN} more`]);
}

function unseenHolders(survey: HostSurvey, fn: PciFunction): Check[] {
  if (survey.vfio.holdersComplete) return [];
  // Undumpable processes and those guarded by a security module are hidden even from root.
  const isRoot = survey.root.live && process.geteuid?.() === 0;
  const reason = isRoot
    ? 'cannot tell whether it is open: some processes are hidden even from root'
    : 'cannot see whether another user has it open: run as root';
  return [warn('held', fn.address, reason)];
}

function holderList(holders: readonly Holder[]): string {
  return sentenceList(holders.map(holderAndUser));
}
