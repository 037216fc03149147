import { isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';
import { driverCheck } from '../vfio-driver.ts';
import type { Subject } from './check.ts';
import { classCheck } from './device-class.ts';
import { displayCheck } from './display.ts';
import { heldCheck, virtualFunctionCheck } from './guests.ts';
import { groupCheck, iommuCheck } from './iommu.ts';
import { networkCheck } from './network.ts';
import { memlockCheck, resetCheck } from './passthrough.ts';
import { storageCheck } from './storage.ts';

/** Everything that is looked at before functions are taken from the host. */
export function takeChecks(survey: HostSurvey, addresses: readonly string[], driver: string): Check[] {
  if (addresses.length === 0) return [];
  const taken = new Set(addresses);
  const perFunction = addresses.flatMap(address => {
    const fn = survey.byAddress.get(address)!;
    const subject: Subject = { survey, fn, driver, taken };
    return [
      ...classCheck(subject),
      driverCheck(survey.root, fn, driver),
      ...iommuCheck(subject),
      ...groupCheck(subject),
      ...displayCheck(subject),
      ...storageCheck(subject),
      ...networkCheck(subject),
      ...virtualFunctionCheck(subject),
      ...heldCheck(subject),
      ...resetCheck(subject),
    ];
  });
  return isVfioDriver(driver) ? [...perFunction, ...memlockCheck(survey.root)] : perFunction;
}

/** Before functions are given back to the host: only a VM can be in the way. */
export function giveBackChecks(survey: HostSurvey, addresses: readonly string[], driver: string): Check[] {
  const taken = new Set(addresses);
  return addresses.flatMap(address => {
    const subject: Subject = { survey, fn: survey.byAddress.get(address)!, driver, taken };
    return [...virtualFunctionCheck(subject), ...heldCheck(subject)];
  });
}
