import type { PciFunction } from '../../pci/function.ts';
import { type DeviceUsers, readDeviceUsers } from '../../use/device-users.ts';
import { isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { type HostSurvey, virtualFunctionsOf } from '../survey.ts';
import { driverCheck } from '../vfio-driver.ts';
import type { Subject } from './check.ts';
import { classCheck } from './device-class.ts';
import { displayCheck } from './display.ts';
import { heldCheck, virtualFunctionCheck } from './guests.ts';
import { groupCheck, iommuCheck } from './iommu.ts';
import { mediatedCheck } from './mediated.ts';
import { networkCheck } from './network.ts';
import { memlockCheck, resetCheck } from './passthrough.ts';
import { responseCheck } from './response.ts';
import { storageCheck } from './storage.ts';

/** All checks before functions are taken from the host. */
export function takeChecks(survey: HostSurvey, addresses: readonly string[], driver: string): Check[] {
  if (addresses.length === 0) return [];
  const perFunction = subjects(survey, addresses, driver).flatMap(subject => {
    const { fn } = subject;
    return [
      ...responseCheck(subject),
      ...classCheck(subject),
      driverCheck(survey.root, fn, driver),
      ...iommuCheck(subject),
      ...groupCheck(subject),
      ...displayCheck(subject),
      ...storageCheck(subject),
      ...networkCheck(subject),
      ...virtualFunctionCheck(subject),
      ...mediatedCheck(subject),
      ...heldCheck(subject),
      ...resetCheck(subject),
    ];
  });
  return isVfioDriver(driver) ? [...perFunction, ...memlockCheck(survey.root)] : perFunction;
}

/** All checks of functions that a VM opens as they are: only limits of the kernel and the hardware matter. */
export function readyChecks(survey: HostSurvey, addresses: readonly string[], driver: string): Check[] {
  return subjects(survey, addresses, driver).flatMap(subject => [
    ...responseCheck(subject),
    ...groupCheck(subject),
    ...heldCheck(subject),
    ...resetCheck(subject),
  ]);
}

/** Checks before functions return to the host: only their current users matter. */
export function giveBackChecks(survey: HostSurvey, addresses: readonly string[], driver: string): Check[] {
  return subjects(survey, addresses, driver).flatMap(subject => [
    ...virtualFunctionCheck(subject),
    ...heldCheck(subject),
  ]);
}

function subjects(survey: HostSurvey, addresses: readonly string[], driver: string): Subject[] {
  const functions = addresses.map(address => survey.byAddress.get(address)!);
  const users = usersOf(survey, functions);
  const taken = new Set(addresses);
  return functions.map(fn => ({ survey, fn, driver, taken, users }));
}

function usersOf(survey: HostSurvey, functions: readonly PciFunction[]): DeviceUsers {
  const ended = functions.flatMap(fn => virtualFunctionsOf(survey, fn));
  return readDeviceUsers(survey.openFiles, [...new Set([...functions, ...ended])]);
}
