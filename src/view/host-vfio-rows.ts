import { classTraits } from '../host/pci/class.ts';
import type { PciSummary } from '../host/pci/function.ts';
import type { RowSource } from './host-lists.ts';
import type { VfioRow } from './host-rows.ts';
import { changesHands } from './host-use.ts';

/** All except bridges; functions that are away from the host, or will be at the next boot, come first. */
export const VFIO_FUNCTIONS: RowSource<VfioRow> = {
  list: 'vfio',
  rows: host => {
    const functions = [...host.functions.values()].filter(fn => !isBridge(fn));
    const concerned = (fn: PciSummary) => changesHands(fn, host.nextBoot.get(fn.address));
    const [first, rest] = [functions.filter(concerned), functions.filter(fn => !concerned(fn))];
    return [...first, ...rest].map(({ address }) => ({ key: address, address }));
  },
};

/** PCI-to-PCI and host bridges, which cannot be passed to a guest. */
function isBridge(fn: PciSummary): boolean {
  return classTraits(fn.class).pciBridge || fn.class.startsWith('0600');
}
