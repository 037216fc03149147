import { useMemo } from 'react';
import { useAppState } from '../components/contexts.ts';
import { Table, TableRow } from '../components/table/table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import type { Fact } from '../view/facts.ts';
import { cellsOf, type ListColumn } from '../view/list-columns.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { noMatchText } from '../view/unknown-columns.ts';
import { ListAndSide } from './list-and-side.tsx';
import { splitPlaces } from './split.ts';

type ListProps<Row> = {
  readonly size: Size;
  readonly list: 'networks' | 'images';
  readonly columns: readonly ListColumn<Row>[];
  readonly rows: readonly Row[];
  readonly cursor: number;
  /** Shown if there are no rows at all. */
  readonly empty: string;
  /** What does not match the filter: `No network`. */
  readonly subject: string;
  readonly title: (row: Row) => string;
  readonly facts: (row: Row) => readonly Fact[];
};

/** A list that can be filtered and sorted, and facts about the row under the cursor. */
export function ListWithDetails<Row extends { readonly key: string }>({
  size,
  list,
  columns,
  rows,
  cursor,
  empty,
  subject,
  title,
  facts,
}: ListProps<Row>) {
  const sort = useAppState(state => state.sorts[list]);
  const filter = useAppState(state => filterOf(state, list));
  const row = rows[cursor];
  const split = splitPlaces(size, row === undefined ? 'none' : 'here');
  const layout = useMemo(() => layoutColumns(columns, split.list.columns), [columns, split.list.columns]);
  return (
    <ListAndSide
      size={size}
      split={split}
      title={row === undefined ? '' : title(row)}
      facts={row === undefined ? [] : facts(row)}
    >
      <Table
        layout={layout}
        rows={rows}
        height={split.list.rows}
        cursor={cursor}
        focused
        sort={sort}
        empty={filter === '' ? empty : noMatchText(list, filter, subject)}
        renderRow={(each, selected) => (
          <TableRow key={each.key} layout={layout} selected={selected} cells={cellsOf(layout, each)} />
        )}
      />
    </ListAndSide>
  );
}
