import { printable } from '../../text/printable.ts';
import { type Align, pad, truncate, width } from '../../text/width.ts';

export type Column<Row> = {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: Align;
  /** Columns with the highest rank are dropped first when space is short; rank 0 always stays. */
  readonly rank?: number;
  /** Minimum width in cells when truncated; without it the column is never truncated. */
  readonly least?: number;
};

const gap = 2;

/**
 * A table of at most `cells` cells: drops low-priority columns, then truncates long texts. Infinity for output that does not
 * go to a terminal.
 */
export function tableLines<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  cells: number,
): string[] {
  const texts = columns.map(column => rows.map(row => printable(column.text(row))));
  const natural = columns.map((column, index) => Math.max(width(column.title), ...texts[index]!.map(width)));
  // Omit empty columns.
  let shown = columns.map((_, index) => index).filter(index => texts[index]!.some(text => text !== ''));
  const least = (index: number): number =>
    Math.min(natural[index]!, columns[index]!.least ?? natural[index]!);
  const total = (sizes: readonly number[]): number =>
    sizes.reduce((sum, size) => sum + size, 0) + gap * Math.max(0, sizes.length - 1);
  while (total(shown.map(least)) > cells) {
    const highest = Math.max(...shown.map(index => columns[index]!.rank ?? 0));
    if (highest === 0) break;
    shown = shown.filter(index => index !== shown.findLast(each => (columns[each]!.rank ?? 0) === highest));
  }
  const sizes = shrink(
    shown.map(index => natural[index]!),
    shown.map(least),
    cells - gap * (shown.length - 1),
  );
  const line = (text: (index: number) => string): string =>
    shown
      .map((index, at) => pad(text(index), sizes[at]!, columns[index]!.align))
      .join(' '.repeat(gap))
      .trimEnd();
  const lines = [
    line(index => columns[index]!.title),
    ...rows.map((_, row) => line(index => texts[index]![row]!)),
  ];
  return lines.map(each => truncate(each, cells));
}

/** Shrinks the widest columns first until all fit, none below its minimum. */
function shrink(natural: readonly number[], least: readonly number[], cells: number): number[] {
  const sizes = [...natural];
  let excess = sizes.reduce((sum, size) => sum + size, 0) - cells;
  while (excess > 0) {
    let widest = -1;
    for (const [index, size] of sizes.entries()) {
      if (size > least[index]! && (widest < 0 || size > sizes[widest]!)) widest = index;
    }
    if (widest < 0) break;
    sizes[widest]!--;
    excess--;
  }
  return sizes;
}
