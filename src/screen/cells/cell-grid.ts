/** The terminal's own color. */
export const DEFAULT_COLOR = -1;

/** Styles of a cell. */
export const STYLE = { blink: 1, bold: 2, inverse: 4 } as const;

/** A picture of character cells, row by row. */
export class CellGrid {
  readonly columns: number;
  readonly rows: number;
  /** Code points, each of which takes one cell. */
  readonly characters: Uint32Array;
  /** 0xRRGGBB, or DEFAULT_COLOR. */
  readonly foregrounds: Int32Array;
  readonly backgrounds: Int32Array;
  /** Bits of STYLE. */
  readonly styles: Uint8Array;
  /** Position of the cursor; null if it is not visible. */
  cursor: { readonly column: number; readonly row: number } | null = null;

  constructor(columns: number, rows: number) {
    const count = columns * rows;
    this.columns = columns;
    this.rows = rows;
    this.characters = new Uint32Array(count).fill(0x20);
    this.foregrounds = new Int32Array(count).fill(DEFAULT_COLOR);
    this.backgrounds = new Int32Array(count).fill(DEFAULT_COLOR);
    this.styles = new Uint8Array(count);
  }

  set(at: number, character: number, foreground: number, background: number, style = 0): void {
    this.characters[at] = character;
    this.foregrounds[at] = foreground;
    this.backgrounds[at] = background;
    this.styles[at] = style;
  }

  /** Writes a text into a row, in the terminal's colors inverted. */
  write(column: number, row: number, text: string): void {
    if (row < 0 || row >= this.rows) return;
    for (const [index, character] of Array.from(text).entries()) {
      const x = column + index;
      if (x < 0 || x >= this.columns) continue;
      this.set(
        row * this.columns + x,
        character.codePointAt(0)!,
        DEFAULT_COLOR,
        DEFAULT_COLOR,
        STYLE.inverse,
      );
    }
  }

  sameAt(other: CellGrid, at: number): boolean {
    return (
      this.characters[at] === other.characters[at] &&
      this.foregrounds[at] === other.foregrounds[at] &&
      this.backgrounds[at] === other.backgrounds[at] &&
      this.styles[at] === other.styles[at]
    );
  }
}
