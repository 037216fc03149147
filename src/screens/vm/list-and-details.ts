import type { Size } from '../../store/ui-slice.ts';

/** Below this there is room for the list alone. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 18;

/**
 * Where a tab's list and, below it, the details of the row under its cursor go: the list has what it needs, up to half of
 * the rows.
 * @param length rows of the list
 */
export function listAndDetails(size: Size, length: number): { list: Size; details: Size | null } {
  const { columns, rows } = size;
  if (length === 0 || columns < MIN_COLUMNS || rows < MIN_ROWS) return { list: size, details: null };
  const listRows = Math.min(length + 1, Math.floor(rows / 2));
  return { list: { columns, rows: listRows }, details: { columns, rows: rows - listRows } };
}
