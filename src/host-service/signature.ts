import { parseAddress } from '../host/pci/address.ts';
import { pendingAddresses } from '../host/pending-writes.ts';
import type { HostRoot } from '../host/root.ts';
import type { HostSnapshot } from './snapshot.ts';

/** Tables of the kernel that tell what devices are used for. */
const USE_TABLES = ['/proc/self/mountinfo', '/proc/swaps', '/proc/net/route', '/proc/net/ipv6_route'];

/**
 * A text that changes when something of the host does, made of few and quick reads. The kernel numbers its uevents
 * (kobject_uevent.c), one for every device that comes or goes; but before Linux 4.14 a driver took a device without
 * any, so who has which device is looked at, too.
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

/** Has a function another number of VFs than when it was read? Its sriov_numvfs changes without a uevent. */
export function hasOtherCounts(root: HostRoot, { physicalFunctions, functions }: HostSnapshot): boolean {
  // A read of a count whose function is locked by a write would wait for that.
  const pending = pendingAddresses(root);
  return [...physicalFunctions].some(
    ([address, { current }]) =>
      !pending.has(address) &&
      root.attribute(`${functions.get(address)?.path}/sriov_numvfs`) !== String(current),
  );
}
