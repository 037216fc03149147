import type { Desired, DesiredVf } from '../../boot/desired.ts';
import { type Identity, identify, sameDevice } from '../../boot/identity.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { VfSettings } from '../plan.ts';
import { functionAt, type HostSurvey } from '../survey.ts';

/** Stores this driver for the functions at every boot. VFs are stored by index, with the current VF count. */
export function setDesiredDriver(
  survey: HostSurvey,
  desired: Desired,
  functions: readonly PciFunction[],
  driver: string,
): Desired {
  let next = desired;
  for (const fn of functions) {
    if (fn.physicalFunction === null) {
      const identity = knownIdentity(survey, fn, next.devices[fn.address]?.identity);
      next = { ...next, devices: { ...next.devices, [fn.address]: { driver, identity } } };
    } else next = changeVf(survey, next, fn, vf => ({ ...vf, driver }));
  }
  return next;
}

/** The stored driver of a function, or null. */
export function desiredDriver(survey: HostSurvey, desired: Desired, fn: PciFunction): string | null {
  if (fn.physicalFunction === null) return desired.devices[fn.address]?.driver ?? null;
  return desired.sriov[fn.physicalFunction]?.vfs[vfIndex(survey, fn)]?.driver ?? null;
}

/** Removes the stored driver of the functions. */
export function forgetDesiredDriver(
  survey: HostSurvey,
  desired: Desired,
  functions: readonly PciFunction[],
): Desired {
  let next = desired;
  for (const fn of functions) {
    if (fn.physicalFunction === null) {
      const { [fn.address]: _, ...devices } = next.devices;
      next = { ...next, devices };
    } else if (next.sriov[fn.physicalFunction]?.vfs[vfIndex(survey, fn)]?.driver !== undefined) {
      next = changeVf(survey, next, fn, ({ driver: _, ...vf }) => vf);
    }
  }
  return next;
}

/** Stores the number of VFs for every boot, and drops the stored state of VFs beyond it. */
export function setDesiredCount(
  survey: HostSurvey,
  desired: Desired,
  fn: PciFunction,
  count: number,
): Desired {
  const { [fn.address]: stored, ...others } = desired.sriov;
  if (count === 0) return { ...desired, sriov: others };
  const kept = Object.entries(stored?.vfs ?? {}).filter(([index]) => Number(index) < count);
  const identity = knownIdentity(survey, fn, stored?.identity);
  return {
    ...desired,
    sriov: { ...others, [fn.address]: { identity, count, vfs: Object.fromEntries(kept) } },
  };
}

export function setDesiredAttributes(
  survey: HostSurvey,
  desired: Desired,
  vf: PciFunction,
  settings: VfSettings,
): Desired {
  return changeVf(survey, desired, vf, stored => ({
    ...stored,
    attributes: { ...stored.attributes, ...settings },
  }));
}

function changeVf(
  survey: HostSurvey,
  desired: Desired,
  fn: PciFunction,
  change: (stored: DesiredVf) => DesiredVf,
): Desired {
  const physical = functionAt(survey, fn.physicalFunction!);
  const index = vfIndex(survey, fn);
  const stored = desired.sriov[physical.address];
  const count = Math.max(stored?.count ?? 0, physical.virtualFunctions.length);
  const counted = setDesiredCount(survey, desired, physical, count);
  const pf = counted.sriov[physical.address]!;
  const { [index]: before = {}, ...others } = pf.vfs;
  const after = change(before);
  const vfs = Object.keys(after).length === 0 ? others : { ...others, [index]: after };
  return { ...counted, sriov: { ...counted.sriov, [physical.address]: { ...pf, vfs } } };
}

function vfIndex(survey: HostSurvey, fn: PciFunction): number {
  return functionAt(survey, fn.physicalFunction!).virtualFunctions.indexOf(fn.address);
}

/** A device bound to vfio-pci shows neither MAC nor NVMe serial number, so keep the known values. */
function knownIdentity(survey: HostSurvey, fn: PciFunction, stored: Identity | undefined): Identity {
  const now = identify(survey.root, fn);
  if (stored === undefined || !sameDevice(stored, now)) return now;
  return { ...now, serial: now.serial ?? stored.serial, mac: now.mac ?? stored.mac };
}
