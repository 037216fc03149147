import { lockableMemory } from '../../doctor/memory.ts';
import { readDetails } from '../../pci/details.ts';
import type { HostRoot } from '../../root.ts';
import { isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { ok, type Subject, warn } from './check.ts';

/** A device that cannot be reset carries state from one guest to the next, or hangs. */
export function resetCheck({ survey, fn, driver }: Subject): Check[] {
  if (!isVfioDriver(driver)) return [];
  const { resetMethods, resettable } = readDetails(survey.root, fn);
  if (resetMethods === null ? !resettable : resetMethods.length === 0) {
    const reason = 'the kernel cannot reset it: after one guest, it may stay unusable until the host reboots';
    return [warn('reset', fn.address, reason)];
  }
  if (resetMethods?.every(method => method === 'bus')) {
    return [warn('reset', fn.address, 'only its whole bus can be reset, including every function on it')];
  }
  const methods = resetMethods === null ? '' : ` by ${resetMethods.join(', ')}`;
  return [ok('reset', fn.address, `the kernel can reset it${methods}`)];
}

/** A VM with a passed-through device locks all its RAM, which counts against RLIMIT_MEMLOCK. */
export function memlockCheck(root: HostRoot): Check[] {
  const limit = lockableMemory(root);
  if (limit === null) return [ok('memlock', null, 'locked memory is unlimited')];
  const reason = `a VM must lock all its RAM, but this user may lock only ${Math.floor(limit / 2 ** 20)} MiB: see memory.memlock in vring doctor`;
  return [warn('memlock', null, reason)];
}
