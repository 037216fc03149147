import type { Align } from '../text/width.ts';

export type Column = {
  readonly key: string;
  readonly title: string;
  /** Cells, at the least. */
  readonly width: number;
  readonly align?: Align;
  /** The higher, the earlier it goes where there is no room; 0 never goes. */
  readonly priority?: number;
  /** Its share of the cells that are left over, relative to other columns that take some. */
  readonly grow?: number;
};

/** Columns that pad, with their widths; one blank cell between two. */
export type ColumnLayout = readonly PlacedColumn[];
export type PlacedColumn = Column & { readonly cells: number };

/** Cells before a row, for the cursor. */
export const CURSOR_CELLS = 2;

/** Chooses the columns that fit into `cells`, cursor included, and shares out what is left. */
export function layoutColumns(columns: readonly Column[], cells: number): ColumnLayout {
  const room = cells - CURSOR_CELLS;
  let kept = columns;
  while (neededBy(kept) > room) {
    const least = kept.reduce((last, column) =>
      (column.priority ?? 0) >= (last.priority ?? 0) ? column : last,
    );
    if ((least.priority ?? 0) === 0) break;
    kept = kept.filter(column => column !== least);
  }
  let spare = Math.max(0, room - neededBy(kept));
  let growth = kept.reduce((sum, column) => sum + (column.grow ?? 0), 0);
  return kept.map(column => {
    const share = growth === 0 ? 0 : Math.floor((spare * (column.grow ?? 0)) / growth);
    spare -= share;
    growth -= column.grow ?? 0;
    return { ...column, cells: column.width + share };
  });
}

function neededBy(columns: readonly Column[]): number {
  return columns.reduce((sum, column) => sum + column.width, columns.length - 1);
}
