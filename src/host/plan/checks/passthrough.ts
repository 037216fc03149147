import { lockableMemory } from '../../doctor/memory.ts';
import { readDetails } from '../../pci/details.ts';
import type { HostRoot } from '../../root.ts';
import { isVfioDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { ok, type Subject, warn } from './check.ts';

/** A device that cannot be reset brings the state of its last user into the next guest, or hangs. */
export function resetCheck({ survey, fn, driver }: Subject): Check[] {
  if (!isVfioDriver(driver)) return [];
  const { resetMethods, resettable } = readDetails(survey.root, fn);
  if (resetMethods === null ? !resettable : resetMethods.length === 0) {
    const reason =
      'the kernel has no way to reset it: a second guest may find it hanging until the host is restarted';
    return [warn('reset', fn.address, reason)];
  }
  if (resetMethods?.every(method => method === 'bus')) {
    return [warn('reset', fn.address, 'only its whole bus can be reset, with every function on it')];
  }
  const methods = resetMethods === null ? '' : ` by ${resetMethods.join(', ')}`;
  return [ok('reset', fn.address, `the kernel can reset it${methods}`)];
}

/** A VM with a device has all its RAM locked, and that counts against RLIMIT_MEMLOCK. */
export function memlockCheck(root: HostRoot): Check[] {
  const limit = lockableMemory(root);
  if (limit === null) return [ok('memlock', null, 'the RAM of a VM can be locked, whatever its size')];
  const reason = `a VM started from here can lock ${Math.floor(limit / 2 ** 20)} MiB, and needs all its RAM locked: see memory.memlock in vring doctor`;
  return [warn('memlock', null, reason)];
}
