import { natural } from '../host/text.ts';

/** The column by which a list is sorted. */
export type Sort = { readonly column: string; readonly descending: boolean };

/** A row's value in a column; null if it has none, which sorts last in either order. */
export type SortValue = string | number | null;

/** The rows in the order of their values; rows with equal values keep their order. */
export function sorted<Row>(
  rows: readonly Row[],
  value: (row: Row) => SortValue,
  descending: boolean,
): readonly Row[] {
  const sign = descending ? -1 : 1;
  return rows
    .map(row => ({ row, key: value(row) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null);
      return sign * compared(a.key, b.key);
    })
    .map(({ row }) => row);
}

function compared(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return natural(String(a), String(b));
}

/** A column by which a list can be sorted. */
export type SortColumn = { readonly key: string; readonly align?: 'left' | 'right' };

/** The sort by the next or previous column; null, between the last and the first, for the original order. */
export function nextSort(columns: readonly SortColumn[], now: Sort | null, step: 1 | -1): Sort | null {
  const places = columns.length + 1;
  const at = now === null ? -1 : columns.findIndex(({ key }) => key === now.column);
  const column = columns[((at + 1 + step + places) % places) - 1];
  // For numbers, the highest come first.
  return column === undefined ? null : { column: column.key, descending: column.align === 'right' };
}
