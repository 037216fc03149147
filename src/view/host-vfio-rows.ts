import type { NextBoot } from '../host/boot/next-boot.ts';
import { classTraits } from '../host/pci/class.ts';
import type { PciSummary } from '../host/pci/function.ts';
import { isParkingDriver } from '../host/vfio/read.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { functionFilter } from './host-filter.ts';

/** A function that may be given to a guest. */
export type VfioRow = { readonly key: string; readonly address: string };

/** All but bridges; those that are given away, or will be at the next boot, come first. */
export function vfioRows(host: HostSnapshot, filter: string): readonly VfioRow[] {
  const lets = functionFilter(host, filter);
  const rows = [...host.functions.values()].filter(fn => !isBridge(fn) && lets(fn.address));
  const concerned = (fn: PciSummary) => changesHands(fn, host.nextBoot.get(fn.address));
  const [first, rest] = [rows.filter(concerned), rows.filter(fn => !concerned(fn))];
  return [...first, ...rest].map(({ address }) => ({ key: address, address }));
}

/** Is a function away from the host now, or configured to be at the next boot? */
export function changesHands(fn: PciSummary, next: NextBoot | undefined): boolean {
  return (
    isParkingDriver(fn.driver) || (next !== undefined && (next.driver !== null || next.problems.length > 0))
  );
}

/** PCI-to-PCI and host bridges, which no guest can have. */
function isBridge(fn: PciSummary): boolean {
  return classTraits(fn.class).pciBridge || fn.class.startsWith('0600');
}
