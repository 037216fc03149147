import type { Span } from '../../console/console-screen.ts';
import { type CellGrid, STYLE } from './cell-grid.ts';

/** The rows of a grid for Ink, with the cursor as an inverted cell. */
export function spanRows(grid: CellGrid): Span[][] {
  return Array.from({ length: grid.rows }, (_, row) => spansOf(grid, row));
}

function spansOf(grid: CellGrid, row: number): Span[] {
  const spans: Span[] = [];
  const { cursor } = grid;
  let text = '';
  let key = '';
  let from = 0;
  const end = () => {
    if (text !== '') spans.push(span(grid, from, text, key.endsWith('c')));
    text = '';
  };
  for (let column = 0; column < grid.columns; column++) {
    const at = row * grid.columns + column;
    const isCursor = cursor?.row === row && cursor.column === column;
    const here = `${grid.foregrounds[at]} ${grid.backgrounds[at]} ${grid.styles[at]}${isCursor ? 'c' : ''}`;
    if (here !== key) {
      end();
      key = here;
      from = at;
    }
    text += String.fromCodePoint(grid.characters[at]!);
  }
  end();
  return spans;
}

function span(grid: CellGrid, at: number, text: string, isCursor: boolean): Span {
  const style = grid.styles[at]!;
  const isInverse = ((style & STYLE.inverse) !== 0) !== isCursor;
  return {
    text,
    ...(grid.foregrounds[at]! >= 0 && { color: hex(grid.foregrounds[at]!) }),
    ...(grid.backgrounds[at]! >= 0 && { backgroundColor: hex(grid.backgrounds[at]!) }),
    ...(style & STYLE.bold && { bold: true as const }),
    ...(isInverse && { inverse: true as const }),
  };
}

const hex = (color: number) => `#${color.toString(16).padStart(6, '0')}`;
