import type { Size } from '../../store/ui-slice.ts';

/** On a narrower terminal, only the list is shown. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 18;

/**
 * The sizes of a tab's list and, below it, of the details of the row under its cursor: the list gets what it needs, up
 * to half of the rows.
 * @param length number of rows of the list
 */
export function listAndDetails(size: Size, length: number): { list: Size; details: Size | null } {
  const { columns, rows } = size;
  if (length === 0 || columns < MIN_COLUMNS || rows < MIN_ROWS) return { list: size, details: null };
  const listRows = Math.min(length + 1, Math.floor(rows / 2));
  return { list: { columns, rows: listRows }, details: { columns, rows: rows - listRows } };
}
