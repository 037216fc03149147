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
import { mediatedCheck } from './checks/mediated.ts';
import { interruptionCheck } from './checks/network.ts';
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
  /** Whether host drivers bind to new VFs; undefined to keep the setting. */
  readonly autoprobe?: boolean | undefined;
  /** Also apply at every boot. */
  readonly persist?: boolean;
};

/** Drivers take seconds to create or remove VFs; the write waits for most of it. */
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
      ...(request.count === pf.current ? [`${fn.address} already has ${pf.current} VFs`] : []),
      ...(request.persist ? [] : storedCount(survey.root, fn, request.count)),
    ],
  };
  if (!request.persist) return plan;
  return withPersistence(survey, plan, desired => setDesiredCount(survey, desired, fn, request.count));
}

/** The stored count for the next boot stays unchanged. */
function storedCount(root: HostRoot, fn: PciFunction, count: number): string[] {
  const stored = readDesired(root).sriov[fn.address]?.count;
  if (stored === undefined || stored === count) return [];
  return [`the next boot creates ${stored} VFs of ${fn.address}: use --persist to store ${count}`];
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
    const reason = `${fn.address} supports at most ${pf.total} VFs (sriov_totalvfs), not ${count}`;
    checks.push(impossible('vf-count', fn.address, reason));
  } else checks.push(ok('vf-count', fn.address, `it supports up to ${pf.total} VFs`));
  const driver = driverProblem(survey.root, fn);
  if (driver !== null) checks.push(impossible('driver', fn.address, driver));
  if (count !== pf.current) checks.push(...interruptionCheck(survey, fn));
  const pending = pendingCheck({ survey, fn });
  if (pending !== null) return [...checks, pending];
  if (pf.current > 0 && count !== pf.current) {
    const what = `its ${pf.current} VFs are removed`;
    const users = readDeviceUsers(survey.openFiles, vfs);
    checks.push(...destroyedVfChecks(survey, fn, vfs, what, users), ...mediatedCheck({ survey, fn }));
  }
  return checks;
}

function driverProblem(root: HostRoot, fn: PciFunction): string | null {
  if (fn.driver === null) {
    return "VFs are created by the physical function's driver, and it has none: return it to the host with vring vfio unbind";
  }
  const enabled = readModule(root, fn.driver).parameters.enable_sriov;
  if (isVfioDriver(fn.driver) && enabled !== 'Y') {
    return `${fn.driver} creates VFs only with its parameter enable_sriov: return the physical function to the host first (vring vfio unbind)`;
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
          ? `${pf.current} VFs are removed`
          : `${pf.current} VFs are removed first: the kernel can only change their number from 0`,
      risk: `removes ${sentenceList(used)}`,
      undo: undoBy(setCount(fn, pf.current), ...restoreVfs(pf, vfs)),
    });
  }
  if (count > 0) {
    steps.push({
      ...setCount(fn, count),
      reason: `${fn.driver ?? 'the driver'} creates ${count} VFs`,
      risk: null,
      undo: undoBy(setCount(fn, 0)),
    });
  }
  return steps;
}

/** A driver may bind to each VF before the write returns. */
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

/** VFs are recreated: their settings must be restored before a driver binds. */
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
      reason: wanted ? 'host drivers bind to new VFs' : 'new VFs get no driver automatically',
      risk: null,
      undo: undoBy(set(pf.autoprobe)),
    },
  ];
}

function noSriov(fn: PciFunction): string {
  if (fn.physicalFunction !== null) {
    return `${fn.address} is a virtual function: set the count of ${fn.physicalFunction}`;
  }
  const capable = fn.capabilities.some(each => each.kind === 'sriov');
  return capable
    ? `${fn.address} supports SR-IOV, but its driver or the firmware has disabled it`
    : `${fn.address} does not support SR-IOV: vring sriov list shows the functions that do`;
}
