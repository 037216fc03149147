import type { SortValue } from '../store/sort.ts';
import type { Unit } from '../text/units.ts';
import type { Token } from '../theme/tokens.ts';
import type { Column } from './table-columns.ts';

/** A cell of a table: its text, and its meaning. */
export type Cell = string | { readonly text: string; readonly token: Token };
export type Cells = Readonly<Record<string, Cell>>;

/** A field by which rows can be filtered, with or without a column. */
export type Field<Row> = {
  readonly key: string;
  /** Its names in `field:value` and `:sort` besides its key. */
  readonly names?: readonly string[];
  /** Its text, which is shown, and which filters search. */
  readonly cell?: (row: Row) => Cell;
  /** Its value for sorting and numeric comparison; a list can't be sorted by a field without one. */
  readonly value?: (row: Row) => SortValue;
  /** The unit of its value, for filters such as `cpu>50`; default: it is not a number. */
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

/** The field with this name or key; null if there is none. */
export function fieldNamed<Of extends Field<never>>(fields: readonly Of[], name: string): Of | null {
  const wanted = name.toLowerCase();
  return fields.find(({ key, names = [] }) => key === wanted || names.includes(wanted)) ?? null;
}

/** The column with its address as wide as the widest one, so that none is ever cut. */
export function withAddress<Of extends Column>(
  columns: readonly Of[],
  cells: { readonly min: number; readonly ideal: number },
): readonly Of[] {
  return columns.map(column => (column.key === 'address' ? { ...column, ...cells } : column));
}
