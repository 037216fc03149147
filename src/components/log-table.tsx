import { Box, Text } from 'ink';
import { memo, useMemo } from 'react';
import type { LogEntry } from '../engine/vm-info.ts';
import type { Size } from '../store/ui-slice.ts';
import { logTime } from '../text/time.ts';
import { wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';
import { logRow } from '../view/log-rows.ts';
import { type Column, type ColumnLayout, layoutColumns } from '../view/table-columns.ts';
import { useTheme } from './contexts.ts';
import { Section } from './section.tsx';
import { Table, TableRow } from './table/table.tsx';

const TIME: Column = { key: 'time', title: 'TIME', width: 14 };
const LEVEL: Column = { key: 'level', title: '', width: 1 };
const VM: Column = { key: 'vm', title: 'VM', width: 12 };
const TEXT: Column = { key: 'text', title: 'WHAT HAPPENED', width: 20, grow: 1 };

/** Rows from which on the entry under the cursor is shown in full, too. */
const MIN_ROWS = 14;

type LogTableProps = {
  readonly entries: readonly LogEntry[];
  /** Number of the entry under the cursor; null: the last one. */
  readonly cursor: number | null;
  readonly size: Size;
  /** Entries are about several VMs. */
  readonly vms: boolean;
  readonly empty: string;
};

/** What has happened, the newest last; below, all of the entry that the cursor is on. */
export function LogTable({ entries, cursor, size: { columns, rows }, vms, empty }: LogTableProps) {
  const layout = useMemo(
    () => layoutColumns(vms ? [TIME, LEVEL, VM, TEXT] : [TIME, LEVEL, TEXT], columns),
    [vms, columns],
  );
  const row = logRow(entries, cursor);
  const textRows = rows < MIN_ROWS ? 0 : Math.max(3, Math.floor(rows / 4));
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
      {textRows > 0 && <WholeEntry entry={entries[row]} size={{ columns, rows: textRows }} />}
    </Box>
  );
}

/** A character for each level, so that none is known by its colour alone. */
const LEVELS: Readonly<Record<LogEntry['level'], { readonly text: string; readonly token: Token }>> = {
  info: { text: ' ', token: 'text.secondary' },
  warning: { text: '!', token: 'status.warning' },
  error: { text: 'x', token: 'status.error' },
};

type LogRowProps = { readonly entry: LogEntry; readonly layout: ColumnLayout; readonly selected: boolean };

const LogRow = memo(function LogRow({ entry: { at, level, vm, text }, layout, selected }: LogRowProps) {
  const [first = '', ...more] = text.split('\n');
  const cells = {
    time: { text: logTime(at), token: 'text.secondary' as const },
    level: LEVELS[level],
    vm: vm ?? { text: 'vring', token: 'text.secondary' as const },
    text: more.length === 0 ? first : `${first} (and ${more.length} more lines)`,
  };
  return <TableRow layout={layout} cells={cells} selected={selected} />;
});

function WholeEntry({ entry, size: { columns, rows } }: { entry: LogEntry | undefined; size: Size }) {
  const { style } = useTheme();
  const lines = entry?.text.split('\n').flatMap(line => wrap(line, columns - 2)) ?? [];
  return (
    <Box flexDirection="column" height={rows + 1} overflow="hidden">
      <Section title={entry === undefined ? '' : `${entry.level} ${entry.number}`} columns={columns} />
      {lines.slice(0, rows).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text that stays
        <Text key={index} wrap="truncate" {...(entry?.level === 'error' ? style('status.error') : {})}>
          {` ${line}`}
        </Text>
      ))}
    </Box>
  );
}
