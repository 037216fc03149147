import type { LogEntry } from '../engine/vm-info.ts';
import { filterOf } from '../store/list-slice.ts';
import { logTime } from '../text/time.ts';
import type { Token } from '../theme/tokens.ts';
import { rowFilter, type Searched, searched } from './filter.ts';
import type { Field, ListColumn } from './list-columns.ts';
import { memoized } from './memoized.ts';

/** A character for each level, so that none relies on color alone. */
const LEVELS: Readonly<Record<LogEntry['level'], { readonly text: string; readonly token: Token }>> = {
  info: { text: ' ', token: 'text.secondary' },
  warning: { text: '!', token: 'status.warning' },
  error: { text: 'x', token: 'status.error' },
};

/** The columns of the log. */
export const LOG_COLUMNS: readonly ListColumn<LogEntry>[] = [
  {
    key: 'at',
    names: ['time'],
    title: 'TIME',
    min: 14,
    cell: ({ at }) => ({ text: logTime(at), token: 'text.secondary' }),
  },
  { key: 'mark', title: '', min: 1, cell: ({ level }) => LEVELS[level] },
  {
    key: 'vm',
    title: 'VM',
    min: 12,
    ideal: 20,
    cut: 'middle',
    cell: ({ vm }) => vm ?? { text: 'vring', token: 'text.secondary' },
  },
  {
    key: 'text',
    names: ['event', 'what'],
    title: 'EVENT',
    min: 20,
    grow: 1,
    cell: ({ text }) => firstLine(text),
  },
];

/** The log of one VM needs no VM column. */
export const VM_LOG_COLUMNS = LOG_COLUMNS.filter(({ key }) => key !== 'vm');

/** All lines of an entry can be searched, and its level by name: `level:error`. */
export const LOG_FIELDS: readonly Field<LogEntry>[] = [
  ...LOG_COLUMNS.map(column =>
    column.key === 'text' ? { ...column, cell: ({ text }: LogEntry) => text } : column,
  ),
  { key: 'level', cell: ({ level }: LogEntry) => level },
];

function firstLine(text: string): string {
  const [first = '', ...more] = text.split('\n');
  return more.length === 0 ? first : `${first} (and ${more.length} more lines)`;
}

/** The entries that match the log's filter. */
export function createLogSelector() {
  const known = new WeakMap<LogEntry, Searched<LogEntry>>();
  const textsOf = (entry: LogEntry): Searched<LogEntry> => {
    const texts = known.get(entry) ?? searched(entry, LOG_FIELDS);
    known.set(entry, texts);
    return texts;
  };
  return memoized(
    state => [state.log, filterOf(state, 'log')] as const,
    (log, filter) => {
      if (filter.trim() === '') return log;
      const { matches } = rowFilter(filter, LOG_FIELDS);
      return log.filter(entry => matches(textsOf(entry)));
    },
  );
}

/** The entries about one VM. */
export function vmLog(log: readonly LogEntry[], id: string): readonly LogEntry[] {
  return log.filter(entry => entry.vm === id);
}

/**
 * The row of the cursor, which is on the entry with this number, or on the next one if that is gone.
 * @param cursor null to follow the last entry
 */
export function logRow(entries: readonly LogEntry[], cursor: number | null): number {
  const row = cursor === null ? -1 : entries.findIndex(entry => entry.number >= cursor);
  return row < 0 ? Math.max(0, entries.length - 1) : row;
}

/** The cursor after a move by `rows`; on the last row it follows the end from then on. */
export function movedLogCursor(
  entries: readonly LogEntry[],
  cursor: number | null,
  rows: number,
): number | null {
  const row = Math.max(0, logRow(entries, cursor) + rows);
  return row >= entries.length - 1 ? null : entries[row]!.number;
}
