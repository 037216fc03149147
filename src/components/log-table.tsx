import { Box, Text } from 'ink';
import { memo, useMemo } from 'react';
import type { LogEntry } from '../engine/vm-info.ts';
import type { Size } from '../store/ui-slice.ts';
import { wrap } from '../text/width.ts';
import { cellsOf } from '../view/list-columns.ts';
import { LOG_COLUMNS, logRow, VM_LOG_COLUMNS } from '../view/log-rows.ts';
import { type ColumnLayout, layoutColumns } from '../view/table-columns.ts';
import { useTheme } from './contexts.ts';
import { Section } from './section.tsx';
import { Table, TableRow } from './table/table.tsx';

/** Rows needed to show the entry under the cursor in full below the list. */
const MIN_ROWS = 14;
/** Rows kept for the list if an entry is long: titles, separator and three entries. */
const LIST_ROWS = 6;

type LogTableProps = {
  readonly entries: readonly LogEntry[];
  /** Number of the entry under the cursor; null for the last one. */
  readonly cursor: number | null;
  readonly size: Size;
  /** Whether entries are about several VMs. */
  readonly vms: boolean;
  readonly empty: string;
};

/** Log entries, oldest first; below, the entry under the cursor in full. */
export function LogTable({ entries, cursor, size: { columns, rows }, vms, empty }: LogTableProps) {
  const layout = useMemo(() => layoutColumns(vms ? LOG_COLUMNS : VM_LOG_COLUMNS, columns), [vms, columns]);
  const row = logRow(entries, cursor);
  const lines = entryLines(entries[row], columns);
  // The whole entry, unless the list would have too few rows.
  const textRows =
    rows < MIN_ROWS ? 0 : Math.max(3, Math.floor(rows / 4), Math.min(lines.length, rows - LIST_ROWS));
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      <Table
        layout={layout}
        rows={entries}
        height={textRows === 0 ? rows : rows - textRows - 1}
        cursor={row}
        focused
        empty={empty}
        renderRow={(entry, selected) => (
          <LogRow key={entry.number} entry={entry} layout={layout} selected={selected} />
        )}
      />
      {textRows > 0 && <WholeEntry entry={entries[row]} lines={lines} size={{ columns, rows: textRows }} />}
    </Box>
  );
}

type LogRowProps = {
  readonly entry: LogEntry;
  readonly layout: ColumnLayout<(typeof LOG_COLUMNS)[number]>;
  readonly selected: boolean;
};

const LogRow = memo(function LogRow({ entry, layout, selected }: LogRowProps) {
  return <TableRow layout={layout} cells={cellsOf(layout, entry)} selected={selected} />;
});

function entryLines(entry: LogEntry | undefined, columns: number): string[] {
  return entry?.text.split('\n').flatMap(line => wrap(line, columns - 2)) ?? [];
}

/** The UI's own entries have no number, which the manager assigns. */
function entryTitle(entry: LogEntry | undefined): string {
  if (entry === undefined) return '';
  return Number.isInteger(entry.number) ? `${entry.level} ${entry.number}` : entry.level;
}

type WholeEntryProps = {
  readonly entry: LogEntry | undefined;
  readonly lines: readonly string[];
  readonly size: Size;
};

function WholeEntry({ entry, lines, size: { columns, rows } }: WholeEntryProps) {
  const { style } = useTheme();
  return (
    <Box flexDirection="column" height={rows + 1} overflow="hidden">
      <Section title={entryTitle(entry)} columns={columns} />
      {lines.slice(0, rows).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text that does not change
        <Text key={index} wrap="truncate" {...(entry?.level === 'error' ? style('status.error') : {})}>
          {` ${line}`}
        </Text>
      ))}
    </Box>
  );
}
