import type { PciSummary } from '../host/pci/function.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { HostList } from '../store/screens.ts';
import { type Sort, type SortColumn, type SortValue, sorted } from '../store/sort.ts';
import { classWord } from './host-class-words.ts';
import type { DoctorRow } from './host-doctor-rows.ts';
import type { HostRow } from './host-filter.ts';
import { functionFilter } from './host-filter.ts';
import type { PciRow } from './host-pci-rows.ts';
import { wordsOfUse } from './host-use.ts';

type HostSortColumn = SortColumn & {
  readonly value: (host: HostSnapshot, row: HostRow) => SortValue;
};

/** A column of a list of functions. */
function ofFunction(
  key: string,
  value: (fn: PciSummary, host: HostSnapshot) => SortValue,
  align?: 'right',
): HostSortColumn {
  return {
    key,
    ...(align && { align }),
    value: (host, { address }) => {
      const fn = host.functions.get(address ?? '');
      return fn === undefined ? null : value(fn, host);
    },
  };
}

const address = ofFunction('address', fn => fn.address);
const device = ofFunction('device', fn => fn.names.device ?? `${fn.vendor}:${fn.device}`);
const group = ofFunction('group', fn => fn.iommuGroup, 'right');
const use = ofFunction('use', (fn, host) => wordsOfUse(host.use.get(fn.address)) || null);

const finding = (key: 'area' | 'title'): HostSortColumn => ({
  key,
  value: (_, row) => (row as DoctorRow).finding[key],
});

/**
 * What lists of the host can be sorted by, in the order of their columns. The groups of the IOMMU and virtual functions
 * stand below what they belong to, and stay there.
 */
export const HOST_SORTS: Readonly<Partial<Record<HostList, readonly HostSortColumn[]>>> = {
  pci: [
    address,
    ofFunction('class', fn => classWord(fn.class)),
    device,
    ofFunction('driver', fn => fn.driver),
    group,
    use,
  ],
  vfio: [
    address,
    device,
    ofFunction('now', fn => fn.driver),
    ofFunction('boot', (fn, host) => host.nextBoot.get(fn.address)?.driver ?? null),
    group,
    use,
  ],
  doctor: [finding('area'), finding('title')],
};

export function sortedHostRows<Row extends HostRow>(
  list: HostList,
  rows: readonly Row[],
  host: HostSnapshot,
  sort: Sort,
): readonly Row[] {
  const column = HOST_SORTS[list]?.find(({ key }) => key === sort.column);
  return column === undefined ? rows : sorted(rows, row => column.value(host, row), sort.descending);
}

/** All functions without their tree, which has no place in another order. */
export function flatPciRows(host: HostSnapshot, filter: string): readonly PciRow[] {
  const lets = functionFilter(host, filter);
  return [...host.functions.keys()]
    .filter(lets)
    .map(address => ({ key: address, address, name: address, depth: 0, open: null, matches: true }));
}
