import { classTraits } from '../host/pci/class.ts';
import type { PciSummary } from '../host/pci/function.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { hostFilter } from './host-lists.ts';
import type { VfioRow } from './host-rows.ts';
import { changesHands } from './host-use.ts';

/** All but bridges; those that are given away, or will be at the next boot, come first. */
export function vfioRows(host: HostSnapshot, filter: string): readonly VfioRow[] {
  const lets = hostFilter<VfioRow>(host, 'vfio', filter);
  const rows = [...host.functions.values()].filter(
    fn => !isBridge(fn) && lets({ key: fn.address, address: fn.address }),
  );
  const concerned = (fn: PciSummary) => changesHands(fn, host.nextBoot.get(fn.address));
  const [first, rest] = [rows.filter(concerned), rows.filter(fn => !concerned(fn))];
  return [...first, ...rest].map(({ address }) => ({ key: address, address }));
}

/** PCI-to-PCI and host bridges, which no guest can have. */
function isBridge(fn: PciSummary): boolean {
  return classTraits(fn.class).pciBridge || fn.class.startsWith('0600');
}
