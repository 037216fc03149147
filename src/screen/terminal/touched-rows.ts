/** A control sequence (ECMA-48 §5.4), another escape sequence, or a run of anything else but line feeds. */
const TOKEN = /\x1b\[([<=>?]?)([\d;]*)([@-~])|\x1b[ -/]*[0-~]|\n|[^\x1b\n]+/g;

/**
 * Finds out which lines of a terminal the frames that Ink writes change: it is told everything that is written, beginning at the
 * top left corner, and follows the cursor. Lines below the last one are the last one.
 */
export class TouchedRows {
  #row = 0;

  /** The cursor is in the first line, wherever it was before. */
  home(): void {
    this.#row = 0;
  }

  /** @returns the lines that this text writes to, erases or may have moved, from 0; null: all of them */
  written(text: string, rows: number): ReadonlySet<number> | null {
    const touched = new Set<number>();
    let all = false;
    for (const [token, mark, parameters, final] of text.matchAll(TOKEN)) {
      if (token === '\n') this.#move(1, rows);
      else if (final === undefined) {
        if (!token.startsWith('\x1b') && /[^\r]/.test(token)) touched.add(this.#row);
      } else if (mark === '?' && parameters === '1049') {
        // Another screen, which is empty.
        this.home();
        all = true;
      } else if (mark === '') all = this.#sequence(final, numbersOf(parameters), rows, touched) || all;
    }
    return all ? null : touched;
  }

  /** @returns whether all lines are touched */
  #sequence(final: string, [first = 0]: readonly number[], rows: number, touched: Set<number>): boolean {
    const count = Math.max(1, first);
    switch (final) {
      case 'A':
      case 'F':
        this.#move(-count, rows);
        return false;
      case 'B':
      case 'E':
        this.#move(count, rows);
        return false;
      case 'H':
      case 'd':
        this.#row = Math.min(count, rows) - 1;
        return false;
      case 'K':
      case 'X':
      case 'P':
      case '@':
        touched.add(this.#row);
        return false;
      // Moves in the line, colors, modes.
      case 'C':
      case 'D':
      case 'G':
      case 'm':
      case 'h':
      case 'l':
        return false;
      default:
        return true;
    }
  }

  #move(lines: number, rows: number): void {
    this.#row = Math.max(0, Math.min(rows - 1, this.#row + lines));
  }
}

function numbersOf(parameters: string | undefined): readonly number[] {
  return (parameters ?? '').split(';').map(Number);
}
