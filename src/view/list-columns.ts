import type { SortValue } from '../store/sort.ts';
import type { Unit } from '../text/units.ts';
import type { Token } from '../theme/tokens.ts';
import type { Column } from './table-columns.ts';

/** A cell of a table: its text, and what it means. */
export type Cell = string | { readonly text: string; readonly token: Token };
export type Cells = Readonly<Record<string, Cell>>;

/** Something that a row of a list is found by, whether there is a column of it or not. */
export type Field<Row> = {
  readonly key: string;
  /** What `field:value` and `:sort` call it besides its key. */
  readonly names?: readonly string[];
  /** What is shown of it, and what a filter looks in. */
  readonly cell?: (row: Row) => Cell;
  /** What rows are sorted by and numbers are compared with; a list can't be sorted by a field without one. */
  readonly value?: (row: Row) => SortValue;
  /** What its value is counted in, for filters such as `cpu>50`; absent where it is no number. */
  readonly unit?: Unit;
  /** The key that sorts by it, after `o`. */
  readonly letter?: string;
};

/** A column of a list: declared once for its table, its filter and its sort. */
export type ListColumn<Row> = Column & Field<Row>;

/** The cells of a row in the columns of a layout. */
export function cellsOf<Row>(columns: readonly ListColumn<Row>[], row: Row): Cells {
  const cells: Record<string, Cell> = {};
  for (const { key, cell } of columns) if (cell !== undefined) cells[key] = cell(row);
  return cells;
}

export function cellText(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** The field that a user calls by a name; null when there is none. */
export function fieldNamed<Of extends Field<never>>(fields: readonly Of[], name: string): Of | null {
  const wanted = name.toLowerCase();
  return fields.find(({ key, names = [] }) => key === wanted || names.includes(wanted)) ?? null;
}

/** The column with its address as wide as the widest one is, so that none is ever cut. */
export function withAddress<Of extends Column>(
  columns: readonly Of[],
  cells: { readonly min: number; readonly ideal: number },
): readonly Of[] {
  return columns.map(column => (column.key === 'address' ? { ...column, ...cells } : column));
}
