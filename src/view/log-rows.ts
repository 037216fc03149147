import type { LogEntry } from '../engine/vm-info.ts';
import { nameFilter } from './filter.ts';
import { memoized } from './memoized.ts';

/** The entries that the log's filter lets through, by the VM's name and the text. */
export function createLogSelector() {
  return memoized(
    state => [state.log, state.logFilter] as const,
    (log, filter) => {
      const lets = nameFilter(filter);
      return log.filter(entry => lets(`${entry.vm ?? ''} ${entry.text}`));
    },
  );
}

/** The entries about one VM. */
export function vmLog(log: readonly LogEntry[], id: string): readonly LogEntry[] {
  return log.filter(entry => entry.vm === id);
}

/**
 * The row of the cursor, which is on the entry of this number, or on the next one when that is gone.
 * @param cursor null: on the last entry, whichever that is
 */
export function logRow(entries: readonly LogEntry[], cursor: number | null): number {
  const row = cursor === null ? -1 : entries.findIndex(entry => entry.number >= cursor);
  return row < 0 ? Math.max(0, entries.length - 1) : row;
}

/** The cursor after a move of so many rows; on the last row it follows the end from then on. */
export function movedLogCursor(
  entries: readonly LogEntry[],
  cursor: number | null,
  rows: number,
): number | null {
  const row = Math.max(0, logRow(entries, cursor) + rows);
  return row >= entries.length - 1 ? null : entries[row]!.number;
}
