import type { GraphicsFrame, ScreenFrame, TextFrame } from '../../devices/display/screen-frame.ts';
import { fitted, scaled } from '../picture/scale.ts';
import { CellGrid, DEFAULT_COLOR, STYLE } from './cell-grid.ts';
import { codePage437 } from './code-page-437.ts';

export type DrawOptions = {
  readonly columns: number;
  readonly rows: number;
  /** Whether colors are available. */
  readonly color: boolean;
  /** Only ASCII characters are available. */
  readonly ascii: boolean;
};

const UPPER_HALF = 0x2580;
/** Shades from dark to bright, for terminals without colors. */
const SHADES = Array.from(' ░▒▓█', character => character.codePointAt(0)!);
const ASCII_SHADES = Array.from(' .:-=+*#%@', character => character.codePointAt(0)!);

/**
 * Draws a frame with character cells: text modes as they are, graphics scaled, in half blocks, two pixels to a cell. A
 * larger frame is cropped so that the cursor stays visible.
 */
export function drawFrame(frame: ScreenFrame, options: DrawOptions): CellGrid {
  const grid = new CellGrid(options.columns, options.rows);
  if (frame.kind === 'text') drawText(grid, frame, options);
  else if (frame.kind === 'graphics') drawGraphics(grid, frame, options);
  else {
    const text = 'the screen is off';
    const column = Math.max(0, Math.floor((grid.columns - text.length) / 2));
    grid.write(column, Math.floor(grid.rows / 2), text.slice(0, grid.columns));
  }
  return grid;
}

/** Where a row or column of the frame starts in the available room, and which is the first visible. */
function placed(length: number, room: number, cursor: number | null): { to: number; from: number } {
  if (length <= room) return { to: Math.floor((room - length) / 2), from: 0 };
  const from = cursor === null ? 0 : Math.max(0, Math.min(length - room, cursor - room + 1));
  return { to: 0, from };
}

function drawText(grid: CellGrid, frame: TextFrame, { color, ascii }: DrawOptions): void {
  const { cells, palette, blinks, cursor } = frame;
  const across = placed(frame.columns, grid.columns, cursor?.column ?? null);
  const down = placed(frame.rows, grid.rows, cursor?.row ?? null);
  const characters = codePage437(ascii);
  const columns = Math.min(frame.columns, grid.columns);
  const rows = Math.min(frame.rows, grid.rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const cell = cells[(row + down.from) * frame.columns + column + across.from]!;
      const attribute = cell >> 8;
      const foreground = palette[attribute & 0x0f]!;
      const background = palette[(attribute >> 4) & (blinks ? 0x07 : 0x0f)]!;
      const blink = blinks && (attribute & 0x80) !== 0 ? STYLE.blink : 0;
      const at = (row + down.to) * grid.columns + column + across.to;
      const character = characters[cell & 0xff]!;
      if (color) grid.set(at, character, foreground, background, blink);
      else grid.set(at, character, DEFAULT_COLOR, DEFAULT_COLOR, blink | plainStyle(foreground, background));
    }
  }
  if (cursor === null) return;
  const at = { column: cursor.column - across.from + across.to, row: cursor.row - down.from + down.to };
  const isInSight = at.column >= 0 && at.column < grid.columns && at.row >= 0 && at.row < grid.rows;
  grid.cursor = isInSight ? at : null;
}

/** Distinguishes a menu's selected entry from the others without colors. */
function plainStyle(foreground: number, background: number): number {
  if (brightness(background) > brightness(foreground)) return STYLE.inverse;
  return brightness(foreground) > 220 ? STYLE.bold : 0;
}

/** 0-255. */
function brightness(color: number): number {
  return ((color >> 16) * 299 + ((color >> 8) & 0xff) * 587 + (color & 0xff) * 114) / 1000;
}

function drawGraphics(grid: CellGrid, frame: GraphicsFrame, { color, ascii }: DrawOptions): void {
  // A cell is about twice as high as it is wide.
  const { width, height } = fitted(frame, { width: grid.columns, height: 2 * grid.rows });
  const columns = width;
  const rows = Math.ceil(height / 2);
  const pixels = scaled(frame, columns, 2 * rows);
  const left = Math.floor((grid.columns - columns) / 2);
  const top = Math.floor((grid.rows - rows) / 2);
  const shades = ascii ? ASCII_SHADES : SHADES;
  const pixel = (x: number, y: number) => {
    const at = 3 * (y * columns + x);
    return (pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!;
  };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = (row + top) * grid.columns + column + left;
      const upper = pixel(column, 2 * row);
      const lower = pixel(column, 2 * row + 1);
      if (color && !ascii) grid.set(at, UPPER_HALF, upper, lower);
      else {
        const light = (brightness(upper) + brightness(lower)) / 2;
        const shade = shades[Math.min(shades.length - 1, Math.floor((light * shades.length) / 256))]!;
        grid.set(at, shade, color ? upper : DEFAULT_COLOR, DEFAULT_COLOR);
      }
    }
  }
}
