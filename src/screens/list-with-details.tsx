import { Box, Text } from 'ink';
import { useMemo } from 'react';
import { useAppState, useTheme } from '../components/contexts.ts';
import { FactLines } from '../components/fact-lines.tsx';
import { Section } from '../components/section.tsx';
import { Table, TableRow } from '../components/table/table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import { type Fact, factLines } from '../view/facts.ts';
import { cellsOf, type ListColumn } from '../view/list-columns.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { noMatchText } from '../view/unknown-columns.ts';
import { splitPlaces } from './host/split.ts';

type ListProps<Row> = {
  readonly size: Size;
  readonly list: 'networks' | 'images';
  readonly columns: readonly ListColumn<Row>[];
  readonly rows: readonly Row[];
  readonly cursor: number;
  /** What is said when there are no rows at all. */
  readonly empty: string;
  /** What is said to match no filter: `No network`. */
  readonly subject: string;
  readonly title: (row: Row) => string;
  readonly facts: (row: Row) => readonly Fact[];
};

/** A list that can be filtered and sorted, and what there is to say about the row at its cursor. */
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
    <Box flexDirection={split.beside ? 'row' : 'column'} width={size.columns} height={size.rows}>
      <Box flexDirection="column" width={split.list.columns} height={split.list.rows} overflow="hidden">
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
      </Box>
      {split.beside && <SideRule rows={size.rows} />}
      {split.details && row && <Details title={title(row)} facts={facts(row)} size={split.details} />}
    </Box>
  );
}

function SideRule({ rows }: { rows: number }) {
  const { style, glyphs } = useTheme();
  return (
    <Box width={1} height={rows}>
      <Text {...style('text.secondary')}>{Array.from({ length: rows }, () => glyphs.side).join('\n')}</Text>
    </Box>
  );
}

type DetailsProps = { readonly title: string; readonly facts: readonly Fact[]; readonly size: Size };

function Details({ title, facts, size: { columns, rows } }: DetailsProps) {
  return (
    <Box flexDirection="column" width={columns} height={rows + 1} overflow="hidden">
      <Section title={title} columns={columns} />
      <FactLines lines={factLines(facts, columns - 1)} columns={columns} rows={rows} />
    </Box>
  );
}
