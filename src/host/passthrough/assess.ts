import { readDetails } from '../pci/details.ts';
import { deviceName, type PciFunction } from '../pci/function.ts';
import { planBind } from '../plan/bind.ts';
import { readyChecks } from '../plan/checks/all.ts';
import type { Check, CheckCode, Plan } from '../plan/plan.ts';
import { groupMembers, type HostSurvey, hostUse, vmHolders } from '../plan/survey.ts';
import { isOfVring } from '../use/holders.ts';
import { useSummary } from '../use/use.ts';
import { needsNoIommu } from '../vfio/no-iommu.ts';
import { isParkingDriver, isVfioDriver } from '../vfio/read.ts';
import { apiReasons, chooseApi } from './api.ts';
import type {
  Assessment,
  DeviceAssessment,
  PassthroughRequest,
  Reason,
  ReasonCode,
  VfioApi,
} from './assessment.ts';
import { absentReason, functionReasons } from './function-reasons.ts';
import { acceptsNoIommu, interruptReasons, isolationReasons } from './isolation.ts';
import { lossesOf } from './losses.ts';
import { memoryReasons, pinnedMemory } from './memory.ts';
import { moduleReasons } from './modules.ts';
import { numaReasons } from './numa.ts';
import { ok, unique } from './reason.ts';
import { withRepair } from './repairs.ts';
import { resetReason } from './reset.ts';
import { vmReasons } from './vm-reasons.ts';

const DRIVER = 'vfio-pci';

/** Checks of a plan that more exact ones replace here, as they do that of the driver unless it warns. */
const REPLACED: ReadonlySet<CheckCode> = new Set(['memlock', 'iommu', 'reset', 'rom']);

/** Checks that matter only for functions that the guest gets, not for those that merely come along. */
const OF_ASKED: ReadonlySet<ReasonCode> = new Set(['card', 'group']);

/**
 * Whether functions of a host can be passed to a VM: every reason, with its repair, and the plan that binds what is not
 * bound yet. Reads only.
 */
export function assess(survey: HostSurvey, request: PassthroughRequest): Assessment {
  const addresses = [...new Set(request.addresses)];
  const asked = addresses.map(address => survey.byAddress.get(address)).filter(fn => fn !== undefined);
  const plan = planBind(survey, {
    addresses: asked.map(fn => fn.address),
    driver: DRIVER,
    wholeGroup: true,
    lend: true,
  });
  const apis = asked.map(fn => chooseApi(survey, fn, request));
  const checks = [...plan.checks, ...readyChecks(survey, boundAlready(survey, asked, plan), DRIVER)]
    .filter(check => !REPLACED.has(check.code) && !(check.code === 'driver' && check.level !== 'warn'))
    // A claim gives a better reason: it knows the device's name in that VM.
    .filter(check => !isClaimed(check, heldBy(survey, check), request))
    .map(check =>
      request.vm !== undefined && heldBy(survey, check) === request.vm.name
        ? ok('held', check.subject, 'the VM has it already')
        : withRepair(survey, check),
    );
  const devices = addresses.map(address => {
    const fn = survey.byAddress.get(address);
    if (fn === undefined) return absentDevice(survey, address, request);
    return assessDevice(survey, fn, { request, plan, api: apis.find(api => api.fn === fn)!.chosen }, [
      ...checks.filter(({ subject }) => subject === fn.address),
      ...checks.filter(
        ({ level, code, subject }) =>
          level !== 'ok' && !OF_ASKED.has(code) && isMember(survey, fn, subject, asked),
      ),
      ...isolationReasons(survey, fn, request),
      resetReason(survey, fn, asked),
      ...functionReasons(survey, fn, request),
      ...numaReasons(survey, fn, request.vm),
    ]);
  });
  const reasons = unique([
    ...(asked.length === 0 ? [] : moduleReasons(survey, apis)),
    ...interruptReasons(survey, apis),
    ...apiReasons(survey, apis),
    ...memoryReasons(survey, asked, request.vm),
    ...vmReasons(request),
    ...checks.filter(({ subject }) => subject === null),
  ]);
  return {
    possible: !isBlocked(reasons) && devices.every(({ possible }) => possible),
    devices,
    reasons,
    api: devices[0]?.api ?? null,
    unsafe: asked.some(fn => needsNoIommu(survey.root, fn) && acceptsNoIommu(fn, request)),
    plan,
    losses: lossesOf(request.vm),
    memory: pinnedMemory(survey.root, request.vm),
  };
}

/**
 * The VM of vring that has the device's group open, if the check is about that and no other process has it. The VM may
 * itself get another function.
 */
function heldBy(survey: HostSurvey, { code, level, subject }: Check): string | null {
  const fn = subject === null ? undefined : survey.byAddress.get(subject);
  if (code !== 'held' || level !== 'block' || fn === undefined) return null;
  const holders = vmHolders(survey, fn);
  const names = new Set(holders.map(holder => (isOfVring(holder) ? holder.vm! : null)));
  return names.size === 1 ? ([...names][0] ?? null) : null;
}

function isClaimed({ subject }: Check, vm: string | null, { claims = [] }: PassthroughRequest): boolean {
  return vm !== null && claims.some(claim => claim.running && claim.vm === vm && claim.address === subject);
}

function isBlocked(reasons: readonly Reason[]): boolean {
  return reasons.some(({ level }) => level === 'block');
}

function absentDevice(survey: HostSurvey, address: string, request: PassthroughRequest): DeviceAssessment {
  return {
    address,
    name: null,
    possible: false,
    driver: null,
    iommuGroup: null,
    numaNode: null,
    api: null,
    reasons: [absentReason(survey, address, request)],
    members: [],
    resetMethods: null,
    hostLoses: null,
  };
}

type Judged = {
  readonly request: PassthroughRequest;
  readonly plan: Plan;
  readonly api: VfioApi | null;
};

function assessDevice(
  survey: HostSurvey,
  fn: PciFunction,
  { request: { addresses }, plan, api }: Judged,
  reasons: readonly Reason[],
): DeviceAssessment {
  const members = groupMembers(survey, fn).filter(member => member.address !== fn.address);
  const roles = new Map(plan.devices.map(({ address, role }) => [address, role]));
  const bound = isParkingDriver(fn.driver);
  return {
    address: fn.address,
    name: deviceName(fn),
    possible: !isBlocked(reasons),
    driver: fn.driver,
    iommuGroup: fn.iommuGroup,
    numaNode: fn.numaNode,
    api,
    reasons: unique(reasons),
    members: members.map(member => ({
      address: member.address,
      name: deviceName(member),
      driver: member.driver,
      role: addresses.includes(member.address) ? 'asked' : (roles.get(member.address) ?? 'left'),
    })),
    resetMethods: readDetails(survey.root, fn).resetMethods,
    hostLoses: bound ? null : useSummary(hostUse(survey, fn)) || null,
  };
}

/** The functions that the plan leaves alone because a VM can already use them. */
function boundAlready(survey: HostSurvey, asked: readonly PciFunction[], plan: Plan): string[] {
  const moving = new Set(
    plan.devices.filter(({ driver, becomes }) => driver !== becomes).map(({ address }) => address),
  );
  const concerned = asked.flatMap(fn => groupMembers(survey, fn));
  const left = concerned.filter(fn => !moving.has(fn.address) && isVfioDriver(fn.driver));
  return [...new Set(left.map(fn => fn.address))];
}

/** Whether a check is about a group member that was not asked for. */
function isMember(
  survey: HostSurvey,
  fn: PciFunction,
  subject: string | null,
  asked: readonly PciFunction[],
): boolean {
  const other = subject === null ? undefined : survey.byAddress.get(subject);
  return other !== undefined && !asked.includes(other) && groupMembers(survey, fn).includes(other);
}
