import { classTraits } from '../pci/class.ts';
import { deviceName, type PciFunction } from '../pci/function.ts';
import { sentenceList } from '../text.ts';
import { useSummary } from '../use/use.ts';
import { isParkingDriver, isVfioDriver } from '../vfio/read.ts';
import { takeChecks } from './checks/all.ts';
import { driverSteps } from './driver-steps.ts';
import { setDesiredDriver } from './persist/change-desired.ts';
import { withPersistence } from './persist/persist.ts';
import { type Condition, type Plan, type PlanDevice, planVersion } from './plan.ts';
import { functionAt, groupMembers, type HostSurvey, hostUse, staysWithHost, sysfsPath } from './survey.ts';
import { moduleSteps } from './vfio-driver.ts';

export type BindRequest = {
  /** Full addresses. */
  readonly addresses: readonly string[];
  /** `vfio-pci`, a VFIO variant driver, or `pci-stub`. */
  readonly driver: string;
  /** Include all endpoints of their IOMMU groups. */
  readonly wholeGroup: boolean;
  /** Also apply at every boot. */
  readonly persist?: boolean;
  /** For a VM: functions that it can already use are left alone, and modules are loaded even if no driver changes. */
  readonly lend?: boolean;
};

/** Binds functions to a VFIO driver. @throws for an unknown address */
export function planBind(survey: HostSurvey, request: BindRequest): Plan {
  const { addresses, driver, wholeGroup, lend = false } = request;
  const asked = [...new Set(addresses)].map(address => functionAt(survey, address));
  const concerned = unique([...asked, ...asked.flatMap(fn => groupMembers(survey, fn))]);
  const targets = concerned.filter(fn => asked.includes(fn) || (wholeGroup && goesAlong(fn)));
  const isReady = (fn: PciFunction): boolean =>
    asked.includes(fn) ? isVfioDriver(fn.driver) : isParkingDriver(fn.driver);
  const moving = targets.filter(fn => (lend ? !isReady(fn) : fn.driver !== driver));
  const role = (fn: PciFunction): PlanDevice['role'] => {
    if (asked.includes(fn)) return 'asked';
    if (targets.includes(fn)) return 'group';
    return staysWithHost(fn) ? 'bridge' : 'left';
  };
  const plan: Plan = {
    version: planVersion,
    kind: 'bind',
    title: `Bind ${sentenceList(targets.map(fn => fn.address))} to ${driver}`,
    devices: concerned.map(fn => ({
      address: fn.address,
      name: deviceName(fn),
      iommuGroup: fn.iommuGroup,
      role: role(fn),
      driver: fn.driver,
      becomes: moving.includes(fn) ? driver : fn.driver,
    })),
    checks: takeChecks(
      survey,
      moving.map(fn => fn.address),
      driver,
    ),
    steps: [
      ...((lend ? targets : moving).length > 0 ? moduleSteps(survey.root, driver) : []),
      ...moving.flatMap(fn => driverSteps(fn, driver, lossText(survey, fn))),
    ],
    assumes: moving.flatMap(asFound),
    notes: alreadyTexts(targets.filter(fn => !moving.includes(fn))),
  };
  if (!request.persist) return plan;
  return withPersistence(survey, plan, desired => setDesiredDriver(survey, desired, targets, driver));
}

/** The initial state that driver steps assume. */
export function asFound(fn: PciFunction): Condition[] {
  return [
    { kind: 'driver', device: sysfsPath(fn), driver: fn.driver },
    { kind: 'attribute', path: `${sysfsPath(fn)}/driver_override`, value: fn.driverOverride ?? '' },
  ];
}

/** What the host loses with a function, shown before confirmation. */
export function lossText(survey: HostSurvey, fn: PciFunction): string | null {
  const use = hostUse(survey, fn);
  const summary = useSummary(use);
  if (summary === '') return null;
  const network = use.interfaces.length > 0 ? ', including addresses and routes' : '';
  return `the host loses it: ${summary}${network}`;
}

/** Bridges always stay; a chipset function without a driver does not block its group. */
function goesAlong(fn: PciFunction): boolean {
  if (staysWithHost(fn)) return false;
  return fn.driver !== null || classTraits(fn.class).critical === null;
}

function alreadyTexts(functions: readonly PciFunction[]): string[] {
  return [...Map.groupBy(functions, fn => fn.driver)].map(([driver, bound]) => {
    const node = isVfioDriver(driver) ? '' : ': no host driver binds to it';
    const names = sentenceList(bound.map(fn => fn.address));
    return `${names} ${bound.length === 1 ? 'is' : 'are'} already bound to ${driver}${node}`;
  });
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
