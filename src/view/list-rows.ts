import type { ListCursor } from '../store/screens.ts';
import { type Sort, sorted } from '../store/sort.ts';
import { rowFilter, searched } from './filter.ts';
import { fieldNamed, type ListColumn } from './list-columns.ts';

/** The rows that match a filter, in the requested order. */
export function shownRows<Row extends object>(
  rows: readonly Row[],
  columns: readonly ListColumn<Row>[],
  filter: string,
  sort: Sort | undefined,
): readonly Row[] {
  const { matches } = rowFilter(filter, columns);
  const shown = filter.trim() === '' ? rows : rows.filter(row => matches(searched(row, columns)));
  const value = sort === undefined ? undefined : fieldNamed(columns, sort.column)?.value;
  return value === undefined ? shown : sorted(shown, value, sort!.descending);
}

/** Row of the cursor; if its row is gone, the one in its place. */
export function rowOfCursor(rows: readonly { readonly key: string }[], cursor: ListCursor | null): number {
  if (cursor === null) return 0;
  const index = rows.findIndex(({ key }) => key === cursor.key);
  return index >= 0 ? index : Math.max(0, Math.min(cursor.index, rows.length - 1));
}
