import type { Size } from '../store/ui-slice.ts';

/** From this width on, the details are beside the list. */
const WIDE_COLUMNS = 160;
const RULE = 1;

/** Rows needed to show details below the list, by whether they also have a screen of their own. */
const MIN_ROWS = { elsewhere: 20, here: 10 } as const;

export type Split = {
  readonly list: Size;
  /** Null if they are not shown. */
  readonly details: Size | null;
  readonly beside: boolean;
};

/**
 * The sizes of a list and of the details of the row under its cursor.
 * @param details where they can be seen: `none` if there are none, `elsewhere` if also on a screen of their own, or
 * only `here`
 */
export function splitPlaces({ columns, rows }: Size, details: 'none' | keyof typeof MIN_ROWS): Split {
  if (details !== 'none' && columns >= WIDE_COLUMNS) return besides({ columns, rows });
  if (details === 'none' || rows < MIN_ROWS[details]) {
    return { list: { columns, rows }, details: null, beside: false };
  }
  const detailsRows = Math.max(7, Math.floor(rows * 0.36));
  return {
    list: { columns, rows: rows - detailsRows - RULE },
    details: { columns, rows: detailsRows },
    beside: false,
  };
}

function besides({ columns, rows }: Size): Split {
  const details = Math.floor(columns * 0.36);
  return {
    list: { columns: columns - details - RULE, rows },
    details: { columns: details, rows },
    beside: true,
  };
}
