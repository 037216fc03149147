import { readDesired } from '../boot/desired.ts';
import { matchesIds, readConfiguredIds } from '../boot/ids.ts';
import { readModprobe } from '../boot/modprobe.ts';
import { deviceName, type PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { isParkingDriver } from '../vfio/read.ts';
import { asFound } from './bind.ts';
import { giveBackChecks } from './checks/all.ts';
import { driverSteps, overrideStep, probeStep, releaseSteps } from './driver-steps.ts';
import { desiredDriver, forgetDesiredDriver } from './persist/change-desired.ts';
import { withPersistence } from './persist/persist.ts';
import { type Plan, type PlanDevice, planVersion, type Step } from './plan.ts';
import { functionAt, groupMembers, type HostSurvey } from './survey.ts';
import { moduleSteps } from './vfio-driver.ts';

export type UnbindRequest = {
  readonly addresses: readonly string[];
  /** Include all members of their IOMMU groups. */
  readonly wholeGroup: boolean;
  /** A host driver by name; null lets the kernel choose. */
  readonly driver: string | null;
  /** Also remove their stored state for the next boots. */
  readonly persist?: boolean;
};

/** Returns functions to host drivers. @throws for an unknown address */
export function planUnbind(survey: HostSurvey, request: UnbindRequest): Plan {
  const { addresses, wholeGroup, driver } = request;
  const asked = [...new Set(addresses)].map(address => functionAt(survey, address));
  const members = wholeGroup ? asked.flatMap(fn => groupMembers(survey, fn)) : [];
  const targets = [...new Set([...asked, ...members.filter(isTaken)])];
  const moving = targets.filter(fn => !isBack(fn, driver));
  const returns = moving.map(fn => ({ fn, ...returnOf(survey.root, fn, driver) }));
  const plan: Plan = {
    version: planVersion,
    kind: 'unbind',
    title: `Return ${sentenceList(targets.map(fn => fn.address))} to ${driver ?? 'host drivers'}`,
    devices: targets.map(fn => planDevice(fn, asked, returns.find(each => each.fn === fn)?.becomes)),
    checks: giveBackChecks(
      survey,
      moving.map(fn => fn.address),
      driver ?? '',
    ),
    steps: returns.flatMap(each => each.steps),
    assumes: moving.flatMap(asFound),
    notes: [
      ...returns.flatMap(each => each.note ?? []),
      ...targets
        .filter(fn => !moving.includes(fn))
        .map(fn => `${fn.address} already belongs to the host${fn.driver ? `, bound to ${fn.driver}` : ''}`),
      ...(request.persist ? [] : stillStored(survey, targets)),
    ],
  };
  if (!request.persist) return plan;
  return withPersistence(survey, plan, desired => forgetDesiredDriver(survey, desired, targets));
}

/** The next boot would bind them again. */
function stillStored(survey: HostSurvey, functions: readonly PciFunction[]): string[] {
  const desired = readDesired(survey.root);
  const stored = functions.filter(fn => desiredDriver(survey, desired, fn) !== null).map(fn => fn.address);
  if (stored.length === 0) return [];
  return [`the next boot binds ${sentenceList(stored)} again: use --persist to stop that`];
}

type Return = {
  readonly steps: readonly Step[];
  /** Undefined if the kernel decides. */
  readonly becomes: string | null | undefined;
  readonly note?: string;
};

function returnOf(root: HostRoot, fn: PciFunction, driver: string | null): Return {
  if (driver !== null) {
    return { steps: [...moduleSteps(root, driver), ...driverSteps(fn, driver, null)], becomes: driver };
  }
  const release = isParkingDriver(fn.driver) ? releaseSteps(fn, null) : [];
  const clear = fn.driverOverride === null ? [] : [overrideStep(fn, '', 'any driver may bind to it')];
  if (fn.driver !== null && release.length === 0) return { steps: clear, becomes: fn.driver };
  const stays = whyNoDriver(root, fn);
  if (stays !== null) return { steps: [...release, ...clear], becomes: null, note: stays };
  const modules = hostModules(root, fn);
  const load = modules.some(module => isPresent(root, module)) ? [] : moduleSteps(root, modules[0]!);
  const named = claimedByIds(root, fn) ? driverOf(root, modules) : null;
  if (named === null) {
    const steps = [
      ...load,
      ...release,
      ...clear,
      probeStep(fn, null, 'let the kernel bind its default driver'),
    ];
    return { steps, becomes: undefined };
  }
  // Configured IDs would make vfio-pci bind again: name its own driver until that is bound.
  const override = overrideStep(fn, named, `keep vfio-pci from matching its IDs until ${named} is bound`);
  const bound = { ...fn, driverOverride: named };
  const steps = [...release, override, probeStep(fn, named, `${named} takes it`)];
  return {
    steps: [...steps, overrideStep(bound, '', 'the override is no longer needed')],
    becomes: named,
    note: `${fn.address} matches IDs configured for vfio-pci, which will bind it again at the next boot unless they are removed`,
  };
}

/** Whether it was taken from the host. A function that never had a driver gets none now. */
function isTaken(fn: PciFunction): boolean {
  return isParkingDriver(fn.driver) || fn.driverOverride !== null;
}

/** Whether the host already has it, with nothing left of an earlier binding. */
function isBack(fn: PciFunction, driver: string | null): boolean {
  if (driver !== null) return fn.driver === driver;
  return fn.driverOverride === null && fn.driver !== null && !isParkingDriver(fn.driver);
}

function whyNoDriver(root: HostRoot, fn: PciFunction): string | null {
  if (fn.physicalFunction !== null && autoprobe(root, fn.physicalFunction) === '0') {
    return `${fn.address} has no driver: sriov_drivers_autoprobe of ${fn.physicalFunction} is off (use --driver)`;
  }
  if (hostModules(root, fn).length > 0) return null;
  return `${fn.address} has no driver: this kernel has none for it, or it is blacklisted`;
}

function autoprobe(root: HostRoot, physicalFunction: string): string | null {
  return root.attribute(`/sys/bus/pci/devices/${physicalFunction}/sriov_drivers_autoprobe`);
}

/** Modules of its host drivers, except blacklisted ones that are not loaded. */
function hostModules(root: HostRoot, fn: PciFunction): string[] {
  const blacklisted = new Set(readModprobe(root).blacklist.map(line => line.module));
  return fn.modules.filter(module => {
    if (isPresent(root, module)) return true;
    return readModule(root, module).state === 'available' && !blacklisted.has(module);
  });
}

function isPresent(root: HostRoot, module: string): boolean {
  const { state } = readModule(root, module);
  return state === 'loaded' || state === 'built-in';
}

function claimedByIds(root: HostRoot, fn: PciFunction): boolean {
  return readConfiguredIds(root, readModprobe(root)).some(
    ids => ids.replacedBy === null && matchesIds(fn, ids.text),
  );
}

/** The PCI driver of the first existing module. */
function driverOf(root: HostRoot, modules: readonly string[]): string | null {
  const names = modules.flatMap(module => root.list(`/sys/module/${module}/drivers`) ?? []);
  return names.find(name => name.startsWith('pci:'))?.slice('pci:'.length) ?? null;
}

function planDevice(
  fn: PciFunction,
  asked: readonly PciFunction[],
  becomes: string | null | undefined,
): PlanDevice {
  return {
    address: fn.address,
    name: deviceName(fn),
    iommuGroup: fn.iommuGroup,
    role: asked.includes(fn) ? 'asked' : 'group',
    driver: fn.driver,
    ...(becomes === undefined ? {} : { becomes }),
  };
}
