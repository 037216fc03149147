import type { HostList } from '../store/screens.ts';
import { type Sort, sorted } from '../store/sort.ts';
import type { HostView } from './device-owners.ts';
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
import { type Candidate, Narrowing } from './narrowing.ts';

type AnyColumn = ListColumn<Listed<HostRow>>;

/** The columns of each list; a list's columns are made for its own kind of rows. */
export const HOST_COLUMNS: Readonly<Record<HostList, readonly AnyColumn[]>> = {
  pci: PCI_COLUMNS,
  iommu: IOMMU_COLUMNS as readonly AnyColumn[],
  sriov: SRIOV_COLUMNS as readonly AnyColumn[],
  vfio: VFIO_COLUMNS,
  doctor: DOCTOR_COLUMNS as readonly AnyColumn[],
};

type AnyField = Field<Listed<HostRow>>;

/** All fields by which each list's rows can be filtered. */
export const HOST_FIELDS: Readonly<Record<HostList, readonly AnyField[]>> = {
  pci: [...HOST_COLUMNS.pci, ...FUNCTION_FIELDS],
  iommu: [...HOST_COLUMNS.iommu, ...FUNCTION_FIELDS],
  sriov: [...HOST_COLUMNS.sriov, ...FUNCTION_FIELDS],
  vfio: [...HOST_COLUMNS.vfio, ...FUNCTION_FIELDS],
  doctor: [...HOST_COLUMNS.doctor, ...(DOCTOR_FIELDS as readonly AnyField[])],
};

/** The source of a list's unfiltered rows. */
export type RowSource<Row extends HostRow> = {
  readonly list: HostList;
  readonly rows: (host: HostView) => readonly Row[];
  /** The depth of a row in a tree; default: there is no tree. */
  readonly depth?: (row: Row) => number;
  /** False for rows that are not functions and only hold others; default: there are none. */
  readonly searchable?: (row: Row) => boolean;
};

/** The rows of a source that match a filter, and their ancestors in a tree. */
export function filteredRows<Row extends HostRow>(
  source: RowSource<Row>,
  host: HostView,
  filter: string,
): readonly Row[] {
  return narrowingOf(source, host).rows(rowFilter(filter, HOST_FIELDS[source.list]));
}

/** Prepares a source for filtering, so that the first key is not slow. @returns whether it is ready */
export function prepareFilter<Row extends HostRow>(
  source: RowSource<Row>,
  host: HostView,
  goOn: () => boolean,
): boolean {
  return narrowingOf(source, host).prepare(goOn);
}

type Narrowings = Map<object, Narrowing<HostRow>>;

/** Valid until the host is read again. */
const narrowings = new WeakMap<HostView, Narrowings>();

function narrowingOf<Row extends HostRow>(source: RowSource<Row>, host: HostView): Narrowing<Row> {
  const known: Narrowings = narrowings.get(host) ?? new Map();
  narrowings.set(host, known);
  const narrowing =
    (known.get(source) as Narrowing<Row> | undefined) ?? new Narrowing(candidates(source, host));
  known.set(source, narrowing as unknown as Narrowing<HostRow>);
  return narrowing;
}

function candidates<Row extends HostRow>(
  { list, rows, depth = () => 0, searchable = () => true }: RowSource<Row>,
  host: HostView,
): Candidate<Row>[] {
  return rows(host).map(row => {
    let known: Searched<Listed<HostRow>> | null = null;
    const look = () => {
      known ??= searched({ host, row }, HOST_FIELDS[list]);
      return known as Searched<never>;
    };
    return { row, depth: depth(row), searched: searchable(row) ? look : null };
  });
}

export function sortedHostRows<Row extends HostRow>(
  list: HostList,
  rows: readonly Row[],
  host: HostView,
  sort: Sort,
): readonly Row[] {
  const value = fieldNamed(HOST_COLUMNS[list], sort.column)?.value;
  return value === undefined ? rows : sorted(rows, row => value({ host, row }), sort.descending);
}
