import { type CellGrid, DEFAULT_COLOR, STYLE } from './cell-grid.ts';
import { type ColorDepth, Palette } from './colors.ts';

const CSI = '\x1b[';
/** Up to this many unchanged cells are sent again rather than skipped with a cursor movement. */
const SHORT_GAP = 4;

/** Draws grids on a terminal, each as the difference from the previous one. */
export class CellWriter {
  readonly #palette: Palette;
  #before: CellGrid | null = null;
  /** The terminal's present settings; a style of null is unknown. */
  #style: number | null = null;
  #foreground = DEFAULT_COLOR;
  #background = DEFAULT_COLOR;

  constructor(depth: ColorDepth) {
    this.#palette = new Palette(depth);
  }

  /** Assumes nothing about the terminal's contents from here on. */
  forget(): void {
    this.#before = null;
    this.#style = null;
  }

  /** The output that makes a terminal show the grid, from its upper left corner. */
  draw(grid: CellGrid): string {
    const isAlike = this.#before?.columns === grid.columns && this.#before.rows === grid.rows;
    const before = isAlike ? this.#before : null;
    const parts = before === null ? [`${CSI}0m${CSI}2J`] : [];
    if (before === null) this.#style = null;
    for (let row = 0; row < grid.rows; row++) this.#row(grid, before, row, parts);
    if (parts.length > 0 || before?.cursor !== grid.cursor) parts.push(cursorTo(grid));
    this.#before = grid;
    return parts.join('');
  }

  #row(grid: CellGrid, before: CellGrid | null, row: number, parts: string[]): void {
    const { columns } = grid;
    let at = -1;
    for (let column = 0; column < columns; column++) {
      const index = row * columns + column;
      if (before?.sameAt(grid, index)) continue;
      if (at >= 0 && column - at > 0 && column - at <= SHORT_GAP) {
        for (; at < column; at++) this.#cell(grid, row * columns + at, parts);
      } else if (at !== column) parts.push(`${CSI}${row + 1};${column + 1}H`);
      this.#cell(grid, index, parts);
      at = column + 1;
    }
  }

  #cell({ characters, foregrounds, backgrounds, styles }: CellGrid, at: number, parts: string[]): void {
    const [foreground, background, style] = [foregrounds[at]!, backgrounds[at]!, styles[at]!];
    const parameters: string[] = [];
    if (style !== this.#style) {
      parameters.push('0');
      if (style & STYLE.bold) parameters.push('1');
      if (style & STYLE.blink) parameters.push('5');
      if (style & STYLE.inverse) parameters.push('7');
      this.#style = style;
      this.#foreground = DEFAULT_COLOR;
      this.#background = DEFAULT_COLOR;
    }
    if (foreground !== this.#foreground) parameters.push(this.#palette.parameters(foreground, 'foreground'));
    if (background !== this.#background) parameters.push(this.#palette.parameters(background, 'background'));
    this.#foreground = foreground;
    this.#background = background;
    if (parameters.length > 0) parts.push(`${CSI}${parameters.join(';')}m`);
    parts.push(String.fromCodePoint(characters[at]!));
  }
}

/** Moves the terminal's cursor to the guest's. */
function cursorTo({ cursor }: CellGrid): string {
  if (cursor === null) return `${CSI}?25l`;
  return `${CSI}${cursor.row + 1};${cursor.column + 1}H${CSI}?25h`;
}
