import { Box, Text } from 'ink';
import { memo, type ReactNode } from 'react';
import type { Sort } from '../../store/sort.ts';
import { pad, wrap } from '../../text/width.ts';
import type { Token } from '../../theme/tokens.ts';
import { type Cells, cellText } from '../../view/list-columns.ts';
import type { ColumnLayout } from '../../view/table-columns.ts';
import { useWindowStart } from '../../view/table-window.ts';
import { useTheme } from '../contexts.ts';

type TableHeaderProps = {
  readonly layout: ColumnLayout;
  readonly sort?: Sort | undefined;
};

/** The line of column titles, with an arrow beside that of the sort column. */
export const TableHeader = memo(function TableHeader({ layout, sort }: TableHeaderProps) {
  const { style, glyphs } = useTheme();
  const titles = layout.map(({ title, cells, align }) => pad(title, cells, align, glyphs.ellipsis)).join(' ');
  const place = sort === undefined ? null : sortedTitle(layout, sort);
  const arrow = sort?.descending ? glyphs.sort.descending : glyphs.sort.ascending;
  return (
    <Text wrap="truncate" {...style('text.heading')}>
      {'  '}
      {place === null ? (
        titles
      ) : (
        <>
          {titles.slice(0, place.start)}
          <Text {...style('focus')}>{place.before ? arrow + place.title : place.title + arrow}</Text>
          {titles.slice(place.start + place.title.length + 1)}
        </>
      )}
    </Text>
  );
});

/** Where the title and its arrow are. The arrow is in the gap beside the column if the title leaves no room for it. */
function sortedTitle(layout: ColumnLayout, { column }: Sort) {
  const index = layout.findIndex(({ key }) => key === column);
  const found = layout[index];
  if (found === undefined) return null;
  const { title, cells, align } = found;
  const start = layout.slice(0, index).reduce((sum, { cells }) => sum + cells + 1, 0);
  const before = align === 'right';
  return { title, before, start: before ? start + cells - title.length - 1 : start };
}

type TableRowProps = {
  readonly layout: ColumnLayout;
  readonly cells: Cells;
  /** Whether the cursor is on it. */
  readonly selected: boolean;
  /** The style of cells without their own token. */
  readonly token?: Token;
};

/** One row, as one text: nested ones would cost several times as much. */
export const TableRow = memo(function TableRow({ layout, cells, selected, token }: TableRowProps) {
  const { style, paint, glyphs } = useTheme();
  const texts = layout.map(({ key, cells: width, align, cut }, index) => {
    const cell = cells[key] ?? '';
    const gap = index === layout.length - 1 ? '' : ' ';
    const text = pad(cellText(cell), width, align, glyphs.ellipsis, cut) + gap;
    return typeof cell === 'string' ? text : paint(cell.token, text);
  });
  return (
    <Text wrap="truncate" {...(selected ? style('selection') : token ? style(token) : {})}>
      {(selected ? `${glyphs.cursor} ` : '  ') + texts.join('')}
    </Text>
  );
});

type TableProps<Row> = {
  readonly layout: ColumnLayout;
  readonly rows: readonly Row[];
  /** Number of lines, including the header's. */
  readonly height: number;
  /** Row that the cursor is on. */
  readonly cursor: number;
  /** Whether the cursor is shown. */
  readonly focused: boolean;
  /** Shown in place of rows when there are none. */
  readonly empty?: string;
  readonly sort?: Sort | undefined;
  readonly renderRow: (row: Row, selected: boolean) => ReactNode;
};

/** A table that only mounts the visible rows, so that its cost depends on the window, not on the list. */
export function Table<Row>({
  layout,
  rows,
  height,
  cursor,
  focused,
  empty,
  sort,
  renderRow,
}: TableProps<Row>) {
  const { style } = useTheme();
  const visible = Math.max(0, height - 1);
  const at = Math.min(cursor, rows.length - 1);
  const first = useWindowStart(rows.length, visible, at);
  return (
    <Box flexDirection="column" height={height} overflow="hidden">
      <TableHeader layout={layout} sort={sort} />
      {rows.length === 0 &&
        empty !== undefined &&
        wrap(empty, cellsOf(layout)).map(line => (
          <Text key={line} wrap="truncate" {...style('text.secondary')}>{`  ${line}`}</Text>
        ))}
      {rows
        .slice(first, first + visible)
        .map((row, index) => renderRow(row, focused && first + index === at))}
    </Box>
  );
}

/** Cells of a row, without the cursor. */
function cellsOf(layout: ColumnLayout): number {
  return layout.reduce((sum, { cells }) => sum + cells + 1, -1);
}
