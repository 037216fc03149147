import type { Align, Cut } from '../text/width.ts';

/** A column of a list: its place in the table, and how it shrinks on a narrow terminal. */
export type Column = {
  readonly key: string;
  readonly title: string;
  /** The fewest cells in which it is useful. */
  readonly min: number;
  /** The cells that it takes if available; default: `min`. */
  readonly ideal?: number;
  readonly align?: Align;
  /**
   * Columns are dropped from the highest priority to the lowest, those with the same together; those with 0, the
   * default, last and one by one, from the right.
   */
  readonly priority?: number;
  /** Its share of the cells left over when every column has its ideal width. */
  readonly grow?: number;
  /** Where a text that is too long is cut; default: at its end. */
  readonly cut?: Cut;
};

export type Placed<Of extends Column> = Of & { readonly cells: number };
/** Columns with their widths, one blank cell between two. */
export type ColumnLayout<Of extends Column = Column> = readonly Placed<Of>[];

/** Cells before a row, for the cursor. */
export const CURSOR_CELLS = 2;

/**
 * Chooses the columns that fit into `cells`, including the cursor's, and distributes the rest: first up to each
 * column's ideal width, from the lowest priority to the highest, then by `grow`.
 */
export function layoutColumns<Of extends Column>(columns: readonly Of[], cells: number): ColumnLayout<Of> {
  const room = cells - CURSOR_CELLS;
  let kept: ColumnLayout<Of> = columns.map(column => ({ ...column, cells: column.min }));
  while (usedBy(kept) > room) {
    const highest = Math.max(...kept.map(priorityOf));
    if (highest > 0) kept = kept.filter(column => priorityOf(column) < highest);
    else if (kept.length > 1) kept = kept.slice(0, -1);
    else return kept.map(column => ({ ...column, cells: Math.max(1, room) }));
  }
  return grown(widened(kept, room), room);
}

/** With the ideal width of each column, as far as the room allows. */
function widened<Of extends Column>(columns: ColumnLayout<Of>, room: number): ColumnLayout<Of> {
  let spare = Math.max(0, room - usedBy(columns));
  const cells = new Map(columns.map(column => [column.key, column.cells]));
  for (const column of columns.toSorted((a, b) => priorityOf(a) - priorityOf(b))) {
    const more = Math.min(spare, Math.max(0, (column.ideal ?? 0) - column.cells));
    spare -= more;
    cells.set(column.key, column.cells + more);
  }
  return columns.map(column => ({ ...column, cells: cells.get(column.key)! }));
}

function grown<Of extends Column>(columns: ColumnLayout<Of>, room: number): ColumnLayout<Of> {
  let spare = Math.max(0, room - usedBy(columns));
  let growth = columns.reduce((sum, column) => sum + (column.grow ?? 0), 0);
  return columns.map(column => {
    const share = growth === 0 ? 0 : Math.floor((spare * (column.grow ?? 0)) / growth);
    spare -= share;
    growth -= column.grow ?? 0;
    return { ...column, cells: column.cells + share };
  });
}

function priorityOf({ priority = 0 }: Column): number {
  return priority;
}

function usedBy(columns: ColumnLayout): number {
  return columns.reduce((sum, { cells }) => sum + cells, columns.length - 1);
}
