import { readDesired } from '../boot/desired.ts';
import { deviceName, type PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import type { PhysicalFunction } from '../sriov/read.ts';
import { sentenceList } from '../text.ts';
import { readDeviceUsers } from '../use/device-users.ts';
import { readModule } from '../vfio/modules.ts';
import { isVfioDriver } from '../vfio/read.ts';
import { impossible, ok } from './checks/check.ts';
import { destroyedVfChecks, pendingCheck } from './checks/guests.ts';
import { restoreDriver } from './driver-steps.ts';
import { setDesiredCount } from './persist/change-desired.ts';
import { withPersistence } from './persist/persist.ts';
import { type Change, type Check, type Plan, planVersion, type Step, undoBy } from './plan.ts';
import { functionAt, type HostSurvey, sysfsPath, virtualFunctionsOf } from './survey.ts';
import { restoreSettings } from './vf-attributes.ts';

export type VfCountRequest = {
  /** Address of the physical function. */
  readonly address: string;
  readonly count: number;
  /** Do host drivers take the new VFs by themselves? Undefined: as it is set. */
  readonly autoprobe?: boolean | undefined;
  /** At each boot too. */
  readonly persist?: boolean;
};

/** Drivers take seconds to make or end VFs; the write itself waits for most of it. */
const vfSeconds = 30;

/** Sets the number of virtual functions. @throws for a function without SR-IOV. */
export function planVfCount(survey: HostSurvey, request: VfCountRequest): Plan {
  const fn = functionAt(survey, request.address);
  const pf = survey.physicalFunctions.get(fn.address);
  if (!pf) throw new Error(noSriov(fn));
  const vfs = virtualFunctionsOf(survey, fn);
  const steps = [...autoprobeSteps(fn, pf, request.autoprobe), ...countSteps(fn, pf, vfs, request.count)];
  const ends = request.count !== pf.current && pf.current > 0;
  const plan: Plan = {
    version: planVersion,
    kind: 'vf-count',
    title: `Set the VFs of ${fn.address} to ${request.count}`,
    devices: [
      {
        address: fn.address,
        name: deviceName(fn),
        iommuGroup: fn.iommuGroup,
        role: 'asked',
        driver: fn.driver,
        becomes: fn.driver,
      },
      ...(ends ? vfs : []).map(
        vf =>
          ({
            address: vf.address,
            name: deviceName(vf),
            iommuGroup: vf.iommuGroup,
            role: 'ended-vf',
            driver: vf.driver,
            becomes: null,
          }) as const,
      ),
    ],
    checks: steps.length === 0 ? [] : countChecks(survey, fn, pf, vfs, request.count),
    steps,
    assumes: [
      { kind: 'vf-count', device: sysfsPath(fn), count: pf.current },
      { kind: 'driver', device: sysfsPath(fn), driver: fn.driver },
    ],
    notes: [
      ...(request.count === pf.current ? [`${fn.address} has ${pf.current} VFs already`] : []),
      ...(request.persist ? [] : storedCount(survey.root, fn, request.count)),
    ],
  };
  if (!request.persist) return plan;
  return withPersistence(survey, plan, desired => setDesiredCount(survey, desired, fn, request.count));
}

/** What is stored for the next boot stays as it is. */
function storedCount(root: HostRoot, fn: PciFunction, count: number): string[] {
  const stored = readDesired(root).sriov[fn.address]?.count;
  if (stored === undefined || stored === count) return [];
  return [`the next boot makes ${stored} VFs of ${fn.address}: --persist stores ${count}`];
}

function countChecks(
  survey: HostSurvey,
  fn: PciFunction,
  pf: PhysicalFunction,
  vfs: readonly PciFunction[],
  count: number,
): Check[] {
  const checks: Check[] = [];
  if (count > pf.total) {
    const reason = `${count} VFs are more than the ${pf.total} that ${fn.address} can have (sriov_totalvfs)`;
    checks.push(impossible('vf-count', fn.address, reason));
  } else checks.push(ok('vf-count', fn.address, `it can have up to ${pf.total} VFs`));
  const driver = driverProblem(survey.root, fn);
  if (driver !== null) checks.push(impossible('driver', fn.address, driver));
  const pending = pendingCheck({ survey, fn });
  if (pending !== null) return [...checks, pending];
  if (pf.current > 0 && count !== pf.current) {
    const what = `its ${pf.current} VFs are ended`;
    const users = readDeviceUsers(survey.root, vfs);
    checks.push(...destroyedVfChecks(survey, fn, vfs, what, users));
  }
  return checks;
}

function driverProblem(root: HostRoot, fn: PciFunction): string | null {
  if (fn.driver === null) {
    return 'VFs are made by the driver of the physical function, and it has none: vring vfio unbind gives it back';
  }
  const enabled = readModule(root, fn.driver).parameters.enable_sriov;
  if (isVfioDriver(fn.driver) && enabled !== 'Y') {
    return `${fn.driver} makes VFs only with its parameter enable_sriov: give the physical function back first (vring vfio unbind)`;
  }
  return null;
}

function countSteps(
  fn: PciFunction,
  pf: PhysicalFunction,
  vfs: readonly PciFunction[],
  count: number,
): Step[] {
  if (count === pf.current) return [];
  const steps: Step[] = [];
  if (pf.current > 0) {
    const used = vfs.map(vf => (vf.driver ? `${vf.address} (${vf.driver})` : vf.address));
    steps.push({
      ...setCount(fn, 0),
      reason:
        count === 0
          ? `${pf.current} VFs are ended`
          : `${pf.current} VFs are ended: the kernel changes their number only from 0`,
      risk: `ends ${sentenceList(used)}`,
      undo: undoBy(setCount(fn, pf.current), ...restoreVfs(pf, vfs)),
    });
  }
  if (count > 0) {
    steps.push({
      ...setCount(fn, count),
      reason: `${fn.driver ?? 'the driver'} makes ${count} VFs`,
      risk: null,
      undo: undoBy(setCount(fn, 0)),
    });
  }
  return steps;
}

/** Each VF is a device that a driver may take before the write returns. */
function writeSeconds(fn: PciFunction, count: number): number {
  return 60 + 2 * Math.max(count, fn.virtualFunctions.length);
}

function setCount(fn: PciFunction, count: number): Change {
  return {
    action: {
      kind: 'write',
      path: `${sysfsPath(fn)}/sriov_numvfs`,
      value: String(count),
      seconds: writeSeconds(fn, count),
    },
    expect: [{ kind: 'vf-count', device: sysfsPath(fn), count }],
    within: vfSeconds,
  };
}

/** VFs come back as new ones: what was set of them has to be set again, before a driver takes them. */
function restoreVfs(pf: PhysicalFunction, vfs: readonly PciFunction[]): Change[] {
  const { manager } = pf;
  return [
    ...(manager === null ? [] : pf.vfs.flatMap(vf => restoreSettings(manager, vf))),
    ...vfs.flatMap(restoreDriver),
  ];
}

function autoprobeSteps(fn: PciFunction, pf: PhysicalFunction, wanted: boolean | undefined): Step[] {
  if (wanted === undefined || pf.autoprobe === null || wanted === pf.autoprobe) return [];
  const path = `${sysfsPath(fn)}/sriov_drivers_autoprobe`;
  const set = (on: boolean): Change => ({
    action: { kind: 'write', path, value: on ? '1' : '0' },
    expect: [{ kind: 'attribute', path, value: on ? '1' : '0' }],
    within: 0,
  });
  return [
    {
      ...set(wanted),
      reason: wanted ? 'host drivers take new VFs' : 'new VFs stay without a driver until one is chosen',
      risk: null,
      undo: undoBy(set(pf.autoprobe)),
    },
  ];
}

function noSriov(fn: PciFunction): string {
  if (fn.physicalFunction !== null) {
    return `${fn.address} is a virtual function itself: set the count of ${fn.physicalFunction}`;
  }
  const capable = fn.capabilities.some(each => each.kind === 'sriov');
  return capable
    ? `${fn.address} has SR-IOV, but the kernel offers no count for it: its driver or the firmware has switched it off`
    : `${fn.address} has no SR-IOV: see vring sriov list for the functions that have`;
}
