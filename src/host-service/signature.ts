import { parseAddress } from '../host/pci/address.ts';
import { pendingAddresses } from '../host/pending-writes.ts';
import type { HostRoot } from '../host/root.ts';
import type { HostSnapshot } from './snapshot.ts';

/** Kernel tables that show how devices are used. */
const USE_TABLES = ['/proc/self/mountinfo', '/proc/swaps', '/proc/net/route', '/proc/net/ipv6_route'];

/**
 * A text that changes when the host does, made of a few fast reads. The kernel numbers its uevents (kobject_uevent.c), one
 * for every device that is added or removed. Before Linux 4.14 binding a driver sent none, so bound devices are included.
 */
export function hostSignature(root: HostRoot): string {
  const drivers = (root.list('/sys/bus/pci/drivers') ?? []).map(driver => {
    const bound = root.list(`/sys/bus/pci/drivers/${driver}`) ?? [];
    return `${driver}: ${bound.filter(name => parseAddress(name) !== null).join(' ')}`;
  });
  return [
    root.attribute('/sys/kernel/uevent_seqnum'),
    ...drivers,
    root.list('/sys/bus/pci/devices')?.join(' '),
    root.list('/dev/vfio')?.join(' '),
    ...USE_TABLES.map(path => root.text(path)),
  ].join('\n');
}

/** Whether a function's number of VFs has changed since it was read: sriov_numvfs changes without a uevent. */
export function hasOtherCounts(root: HostRoot, { physicalFunctions, functions }: HostSnapshot): boolean {
  // A read of the count would block behind a pending write to the function.
  const pending = pendingAddresses(root);
  return [...physicalFunctions].some(
    ([address, { current }]) =>
      !pending.has(address) &&
      root.attribute(`${functions.get(address)?.path}/sriov_numvfs`) !== String(current),
  );
}
