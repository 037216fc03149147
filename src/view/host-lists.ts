import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { HostList } from '../store/screens.ts';
import { type Sort, sorted } from '../store/sort.ts';
import { rowFilter, type Searched, searched } from './filter.ts';
import {
  DOCTOR_COLUMNS,
  DOCTOR_FIELDS,
  FUNCTION_FIELDS,
  IOMMU_COLUMNS,
  PCI_COLUMNS,
  VFIO_COLUMNS,
} from './host-columns.ts';
import type { HostRow, Listed } from './host-rows.ts';
import { SRIOV_COLUMNS } from './host-sriov-columns.ts';
import { type Field, fieldNamed, type ListColumn } from './list-columns.ts';

type AnyColumn = ListColumn<Listed<HostRow>>;

/** The columns of each list; a list's own rows are what its columns are made for. */
export const HOST_COLUMNS: Readonly<Record<HostList, readonly AnyColumn[]>> = {
  pci: PCI_COLUMNS,
  iommu: IOMMU_COLUMNS as readonly AnyColumn[],
  sriov: SRIOV_COLUMNS as readonly AnyColumn[],
  vfio: VFIO_COLUMNS,
  doctor: DOCTOR_COLUMNS as readonly AnyColumn[],
};

type AnyField = Field<Listed<HostRow>>;

/** All that the rows of each list are found by. */
const FIELDS: Readonly<Record<HostList, readonly AnyField[]>> = {
  pci: [...HOST_COLUMNS.pci, ...FUNCTION_FIELDS],
  iommu: [...HOST_COLUMNS.iommu, ...FUNCTION_FIELDS],
  sriov: [...HOST_COLUMNS.sriov, ...FUNCTION_FIELDS],
  vfio: [...HOST_COLUMNS.vfio, ...FUNCTION_FIELDS],
  doctor: [...HOST_COLUMNS.doctor, ...(DOCTOR_FIELDS as readonly AnyField[])],
};

type Searchable = Searched<Listed<HostRow>>;

/** What there is to search in each row, by list and key, for as long as the host is as it was read. */
const indexes = new WeakMap<HostSnapshot, Map<HostList, Map<string, Searchable>>>();

function indexOf(host: HostSnapshot, list: HostList): Map<string, Searchable> {
  const lists = indexes.get(host) ?? new Map<HostList, Map<string, Searchable>>();
  indexes.set(host, lists);
  const rows = lists.get(list) ?? new Map<string, Searchable>();
  lists.set(list, rows);
  return rows;
}

/** Which rows of a list a filter lets through. */
export function hostFilter<Row extends HostRow>(
  host: HostSnapshot,
  list: HostList,
  filter: string,
): (row: Row) => boolean {
  if (filter.trim() === '') return () => true;
  const fields = FIELDS[list];
  const lets = rowFilter(filter, fields);
  const index = indexOf(host, list);
  return row => {
    const texts = index.get(row.key) ?? searched({ host, row }, fields);
    index.set(row.key, texts);
    return lets(texts);
  };
}

export function sortedHostRows<Row extends HostRow>(
  list: HostList,
  rows: readonly Row[],
  host: HostSnapshot,
  sort: Sort,
): readonly Row[] {
  const value = fieldNamed(HOST_COLUMNS[list], sort.column)?.value;
  return value === undefined ? rows : sorted(rows, row => value({ host, row }), sort.descending);
}
