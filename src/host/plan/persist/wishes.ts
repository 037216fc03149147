import type { Desired, DesiredVf } from '../../boot/desired.ts';
import { type Identity, identify, sameDevice } from '../../boot/identity.ts';
import type { PciFunction } from '../../pci/function.ts';
import { functionAt, type HostSurvey } from '../survey.ts';
import type { VfSettings } from '../vf-attributes.ts';

/** The functions get this driver at each boot; VFs by their index, with the number of them that there is now. */
export function wishDriver(
  survey: HostSurvey,
  desired: Desired,
  functions: readonly PciFunction[],
  driver: string,
): Desired {
  let wishes = desired;
  for (const fn of functions) {
    if (fn.physicalFunction === null) {
      const identity = knownIdentity(survey, fn, wishes.devices[fn.address]?.identity);
      wishes = { ...wishes, devices: { ...wishes.devices, [fn.address]: { driver, identity } } };
    } else wishes = changeVf(survey, wishes, fn, vf => ({ ...vf, driver }));
  }
  return wishes;
}

/** The driver that is stored for a function; null: none is. */
export function wishedDriver(survey: HostSurvey, desired: Desired, fn: PciFunction): string | null {
  if (fn.physicalFunction === null) return desired.devices[fn.address]?.driver ?? null;
  return desired.sriov[fn.physicalFunction]?.vfs[vfIndex(survey, fn)]?.driver ?? null;
}

/** The functions are the host's again at each boot. */
export function forgetDriver(
  survey: HostSurvey,
  desired: Desired,
  functions: readonly PciFunction[],
): Desired {
  let wishes = desired;
  for (const fn of functions) {
    if (fn.physicalFunction === null) {
      const { [fn.address]: _, ...devices } = wishes.devices;
      wishes = { ...wishes, devices };
    } else if (wishes.sriov[fn.physicalFunction]?.vfs[vfIndex(survey, fn)]?.driver !== undefined) {
      wishes = changeVf(survey, wishes, fn, ({ driver: _, ...vf }) => vf);
    }
  }
  return wishes;
}

/** The physical function makes so many VFs at each boot; what is stored of those beyond is forgotten. */
export function wishCount(survey: HostSurvey, desired: Desired, fn: PciFunction, count: number): Desired {
  const { [fn.address]: stored, ...others } = desired.sriov;
  if (count === 0) return { ...desired, sriov: others };
  const kept = Object.entries(stored?.vfs ?? {}).filter(([index]) => Number(index) < count);
  const identity = knownIdentity(survey, fn, stored?.identity);
  return {
    ...desired,
    sriov: { ...others, [fn.address]: { identity, count, vfs: Object.fromEntries(kept) } },
  };
}

export function wishAttributes(
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
  const owner = functionAt(survey, fn.physicalFunction!);
  const index = vfIndex(survey, fn);
  const stored = desired.sriov[owner.address];
  const count = Math.max(stored?.count ?? 0, owner.virtualFunctions.length);
  const counted = wishCount(survey, desired, owner, count);
  const pf = counted.sriov[owner.address]!;
  const { [index]: before = {}, ...others } = pf.vfs;
  const after = change(before);
  const vfs = Object.keys(after).length === 0 ? others : { ...others, [index]: after };
  return { ...counted, sriov: { ...counted.sriov, [owner.address]: { ...pf, vfs } } };
}

function vfIndex(survey: HostSurvey, fn: PciFunction): number {
  return functionAt(survey, fn.physicalFunction!).virtualFunctions.indexOf(fn.address);
}

/** A device on vfio-pci shows neither MAC nor NVMe serial number: what is known of it already stays. */
function knownIdentity(survey: HostSurvey, fn: PciFunction, stored: Identity | undefined): Identity {
  const now = identify(survey.root, fn);
  if (stored === undefined || !sameDevice(stored, now)) return now;
  return { ...now, serial: now.serial ?? stored.serial, mac: now.mac ?? stored.mac };
}
