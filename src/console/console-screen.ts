import type { IBufferCell, Terminal } from '@xterm/headless';
import xterm from '@xterm/headless';
import { printable } from '../text/printable.ts';
import { width } from '../text/width.ts';

/** A part of a line in one style. Colors are Ink's: a name, `ansi256(n)` or `#rrggbb`. */
export type Span = {
  readonly text: string;
  readonly color?: string;
  readonly backgroundColor?: string;
  readonly bold?: true;
  readonly dimColor?: true;
  readonly underline?: true;
  readonly inverse?: true;
};
export type ConsoleLine = readonly Span[];

/** The row of a marked line; -1 once it has been dropped. */
export type LineMark = { readonly line: number; dispose(): void };

/** Lines kept above the screen. */
const SCROLLBACK_LINES = 2000;

const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/**
 * The screen that a guest's serial port writes to: a terminal emulator, so that a guest's escape sequences end here, and
 * the output is plain lines in known styles.
 */
export class ConsoleScreen {
  readonly #terminal: Terminal;

  /** @param reply called with the answers to the guest's terminal queries (size, cursor position), to be sent as input */
  constructor(columns: number, rows: number, reply: (text: string) => void) {
    this.#terminal = new xterm.Terminal({
      cols: columns,
      rows,
      scrollback: SCROLLBACK_LINES,
      allowProposedApi: true,
      logLevel: 'off',
    });
    this.#terminal.onData(reply);
  }

  /** @param done called once the bytes have changed the screen */
  write(bytes: Uint8Array, done: () => void): void {
    this.#terminal.write(bytes, done);
  }

  /** Whether the guest has asked its terminal to mark pastes (DECSET 2004). */
  get bracketedPaste(): boolean {
    return this.#terminal.modes.bracketedPasteMode;
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  /** Number of lines, down to the cursor or the last one written. */
  get length(): number {
    const { active } = this.#terminal.buffer;
    const cursor = active.baseY + active.cursorY;
    let last = active.length - 1;
    while (last > cursor && active.getLine(last)?.translateToString(true) === '') last--;
    return last + 1;
  }

  /**
   * The `height` lines that end `back` lines above the last one; fewer if there aren't that many.
   * @param columns cells per line
   * @param showCursor marks the cell that the guest's cursor is on
   */
  lines(height: number, columns: number, back: number, showCursor: boolean): ConsoleLine[] {
    const { active } = this.#terminal.buffer;
    const end = Math.max(Math.min(height, this.length), this.length - back);
    const start = Math.max(0, end - height);
    const cursorRow = active.baseY + active.cursorY;
    const lines: ConsoleLine[] = [];
    for (let row = start; row < end; row++) {
      lines.push(this.#line(row, columns, showCursor && row === cursorRow ? active.cursorX : null));
    }
    return lines;
  }

  /** The lines as plain text, from one row to another, both included. */
  text(from: number, to: number): string[] {
    const { active } = this.#terminal.buffer;
    const lines: string[] = [];
    for (let row = Math.max(0, from); row <= to; row++) {
      lines.push(printable(active.getLine(row)?.translateToString(true) ?? ''));
    }
    return lines;
  }

  /** The next row from this one, in steps of 1 or -1, that contains the text, ignoring case; null if there is none. */
  find(text: string, from: number, step: 1 | -1): number | null {
    const { active } = this.#terminal.buffer;
    const sought = text.toLowerCase();
    for (let row = from; row >= 0 && row < this.length; row += step) {
      if (active.getLine(row)?.translateToString(true).toLowerCase().includes(sought)) return row;
    }
    return null;
  }

  /** A mark that stays on its line when more is printed; null while a program uses the alternate screen. */
  mark(row: number): LineMark | null {
    const { active } = this.#terminal.buffer;
    return this.#terminal.registerMarker(row - active.baseY - active.cursorY) ?? null;
  }

  #line(row: number, columns: number, cursor: number | null): ConsoleLine {
    const line = this.#terminal.buffer.active.getLine(row);
    if (line === undefined) return [];
    const spans: Span[] = [];
    const cell = this.#terminal.buffer.active.getNullCell();
    let used = 0;
    for (let column = 0; column < line.length; column++) {
      if (line.getCell(column, cell) === undefined || cell.getWidth() === 0) continue;
      if (used + cell.getWidth() > columns) break;
      used += cell.getWidth();
      append(spans, styleOf(cell, column === cursor), cellText(cell));
    }
    return trimmed(spans);
  }
}

/** A cell's text, with its exact width: question marks if the width is ambiguous. */
function cellText(cell: IBufferCell): string {
  const text = printable(cell.getChars());
  if (text === '' || cell.isInvisible()) return ' '.repeat(cell.getWidth());
  return width(text) === cell.getWidth() ? text : '?'.repeat(cell.getWidth());
}

type Style = Omit<Span, 'text'>;

function styleOf(cell: IBufferCell, isCursor: boolean): Style {
  const inverse = Boolean(cell.isInverse()) !== isCursor;
  if (cell.isAttributeDefault()) return inverse ? { inverse } : {};
  return {
    ...(!cell.isFgDefault() && { color: color(cell.isFgRGB(), cell.getFgColor()) }),
    ...(!cell.isBgDefault() && { backgroundColor: color(cell.isBgRGB(), cell.getBgColor()) }),
    ...(cell.isBold() && { bold: true as const }),
    ...(cell.isDim() && { dimColor: true as const }),
    ...(cell.isUnderline() && { underline: true as const }),
    ...(inverse && { inverse }),
  };
}

function color(isRgb: boolean, value: number): string {
  if (isRgb) return `#${value.toString(16).padStart(6, '0')}`;
  if (value < 8) return COLORS[value]!;
  if (value < 16) return `${COLORS[value - 8]}Bright`;
  return `ansi256(${value})`;
}

function append(spans: Span[], style: Style, text: string): void {
  const last = spans.at(-1);
  if (last && sameStyle(last, style)) spans[spans.length - 1] = { ...last, text: last.text + text };
  else spans.push({ ...style, text });
}

function sameStyle(a: Style, b: Style): boolean {
  return (
    a.color === b.color &&
    a.backgroundColor === b.backgroundColor &&
    a.bold === b.bold &&
    a.dimColor === b.dimColor &&
    a.underline === b.underline &&
    a.inverse === b.inverse
  );
}

/** Without trailing blanks, which are most of a line. */
function trimmed(spans: Span[]): Span[] {
  const last = spans.at(-1);
  if (last === undefined || last.inverse || last.backgroundColor || last.underline) return spans;
  const text = last.text.trimEnd();
  return text === '' ? spans.slice(0, -1) : [...spans.slice(0, -1), { ...last, text }];
}
